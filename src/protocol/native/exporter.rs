//! Bytes that stand for one connection (NATIVE section 3).

use super::derive::{self, Secret};
use alloc::boxed::Box;
use core::fmt;

/// Gives the application bytes that both ends of this connection share and nobody else knows:
/// to bind something else to it, or as a key of its own.
///
/// Wiped on drop, not `Clone`.
pub struct Exporter(Box<Secret>);

/// Nothing was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The connection has nothing to export.
    #[error("the commonware wire has no exporter; use the native one")]
    NoExporter,
    /// The label cannot be used.
    #[error("export label has {length} bytes; it takes 1 to 255 bytes of ASCII")]
    Label {
        /// Its length in bytes.
        length: usize,
    },
    /// So many bytes cannot be exported at once.
    #[error(
        "export of {length} bytes asked for; choose 1 to {}",
        Exporter::MAX_LEN
    )]
    Length {
        /// How many bytes were asked for.
        length: usize,
    },
}

impl Exporter {
    /// The most bytes that can be exported at once.
    pub const MAX_LEN: usize = 8_160;

    pub(super) fn new(secret: Secret) -> Self {
        Self(Box::new(secret))
    }

    /// Fills `output` with what stands for this connection, `label` and `context`.
    ///
    /// The label says what the bytes are for; each use has its own. The length is part of what
    /// is derived: a shorter output is not the start of a longer one.
    ///
    /// # Errors
    ///
    /// [`ExportError`], with `output` unchanged.
    pub fn export(
        &self,
        label: &str,
        context: &[u8],
        output: &mut [u8],
    ) -> Result<(), ExportError> {
        let length = label.len();
        if !label.is_ascii() || !(1..=255).contains(&length) {
            return Err(ExportError::Label { length });
        }
        let length = output.len();
        derive::try_label(&self.0, label, &derive::hash(&[context]), output)
            .map_err(|_| ExportError::Length { length })
    }

    #[cfg(test)]
    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn label_context_and_length_are_all_part_of_it() {
        let exporter = Exporter::new(Secret::new([7; 32]));
        let export = |label, context, length| {
            let mut output = vec![0; length];
            exporter
                .export(label, context, &mut output)
                .map(|()| output)
        };
        let bytes = export("a", b"c", 48).unwrap();
        assert_eq!(export("a", b"c", 48).unwrap(), bytes);
        for other in [("b", &b"c"[..], 48), ("a", b"", 48), ("a", b"c", 47)] {
            let other = export(other.0, other.1, other.2).unwrap();
            assert_ne!(other[..32], bytes[..32]);
        }
    }

    #[test]
    fn what_cannot_be_exported_says_why() {
        let exporter = Exporter::new(Secret::new([7; 32]));
        let long = "x".repeat(256);
        for label in ["", "ä", &long] {
            let length = label.len();
            let result = exporter.export(label, &[], &mut [0; 32]);
            assert_eq!(result, Err(ExportError::Label { length }));
        }
        for length in [0, 8_161, 70_000] {
            let result = exporter.export("a", &[], &mut vec![0; length]);
            assert_eq!(result, Err(ExportError::Length { length }));
        }
        assert_eq!(exporter.export("a", &[], &mut vec![0; 8_160]), Ok(()));
    }
}
