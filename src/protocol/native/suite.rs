//! Which AEAD seals a connection: chosen by the dialer, at run time.

use core::fmt;
use core::str::FromStr;

/// The AEAD of both directions of a connection, and of its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// AES-256-GCM (NIST SP 800-38D): the faster one where the processor has AES instructions.
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439): fast and constant in time on every processor.
    ChaCha20Poly1305,
}

impl Suite {
    /// Every suite of this version of the wire.
    pub const ALL: [Self; 2] = [Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// Returns the suite to dial with where nobody says otherwise: AES-256-GCM where this
    /// processor has instructions for it, else ChaCha20-Poly1305. On aarch64 it is taken to have them,
    /// as nearly every server does; name [`Suite::ChaCha20Poly1305`] where `ringseal doctor` says
    /// otherwise.
    #[must_use]
    pub fn preferred() -> Self {
        if has_aes() {
            Self::Aes256Gcm
        } else {
            Self::ChaCha20Poly1305
        }
    }

    /// Returns the name in configurations and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes-256-gcm",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
        }
    }

    /// Returns the byte that stands for it in a hello.
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::ChaCha20Poly1305 => 2,
        }
    }

    /// Returns the suite that a hello's byte stands for.
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.byte() == byte)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown suite; choose aes-256-gcm or chacha20-poly1305")]
pub struct UnknownSuite;

impl FromStr for Suite {
    type Err = UnknownSuite;

    fn from_str(text: &str) -> Result<Self, UnknownSuite> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.name() == text)
            .ok_or(UnknownSuite)
    }
}

/// The suites that a listener accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Suites(u8);

impl Suites {
    /// Every suite of this version of the wire.
    #[must_use]
    pub const fn all() -> Self {
        Self::none()
            .and(Suite::Aes256Gcm)
            .and(Suite::ChaCha20Poly1305)
    }

    /// No suite: a start for [`and`](Self::and).
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// Adds `suite`.
    #[must_use]
    pub const fn and(self, suite: Suite) -> Self {
        Self(self.0 | suite.byte())
    }

    /// Returns whether `suite` is among them.
    #[must_use]
    pub const fn contains(self, suite: Suite) -> bool {
        self.0 & suite.byte() != 0
    }
}

impl Default for Suites {
    /// All of them.
    fn default() -> Self {
        Self::all()
    }
}

#[cfg(target_arch = "x86_64")]
fn has_aes() -> bool {
    is_x86_feature_detected!("aes") && is_x86_feature_detected!("pclmulqdq")
}

// On aarch64 only the standard library can be asked, which nothing here uses; elsewhere the libraries
// have no fast code for AES.
#[cfg(not(target_arch = "x86_64"))]
const fn has_aes() -> bool {
    cfg!(target_arch = "aarch64")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn bytes_and_names_come_back_and_others_are_refused() {
        for suite in Suite::ALL {
            assert_eq!(Suite::from_byte(suite.byte()), Some(suite));
            assert_eq!(suite.to_string().parse(), Ok(suite));
        }
        for byte in [0, 3, 0x80, 0xff] {
            assert_eq!(Suite::from_byte(byte), None);
        }
        assert_eq!("AES".parse::<Suite>(), Err(UnknownSuite));
    }

    #[test]
    fn set_holds_what_was_put_in() {
        let only = Suites::none().and(Suite::ChaCha20Poly1305);
        assert!(only.contains(Suite::ChaCha20Poly1305) && !only.contains(Suite::Aes256Gcm));
        assert!(
            Suite::ALL
                .iter()
                .all(|suite| Suites::all().contains(*suite))
        );
        assert!(!Suites::none().contains(Suite::Aes256Gcm));
    }
}
