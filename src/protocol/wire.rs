//! Which wire two peers speak, and how it is written.

use super::handshake::SakeVersion;
use super::native::Suite;
use super::record::CupsVersion;
use core::fmt;
use core::str::FromStr;

/// A handshake and a record layer. A dialer speaks one, and no failure makes it try another; a
/// listener takes those that it is configured with.
///
/// In text: `commonware:v1,v0` is SAKE V1 with CUPS V0, `commonware` is `commonware:v1,v1`, and the
/// name of the wire may be left out before its versions. `native:aes-256-gcm` and
/// `native:chacha20-poly1305` name the suite, `native` takes [the one](Suite::preferred) that this
/// processor is fast at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wire {
    /// That of `commonware-stream` 2026.10.0 (`tests/vectors/SPEC.md`).
    Commonware {
        /// Version of the handshake (SPEC section 4).
        sake: SakeVersion,
        /// Version of the records (SPEC section 6).
        cups: CupsVersion,
    },
    /// That of this crate: see [`native`](super::native) for what it gives.
    Native {
        /// What a dialer has all of the connection sealed with. A listener takes every suite.
        suite: Suite,
    },
}

impl Wire {
    /// SAKE V1 and CUPS V1, which the wire's own documentation recommends.
    pub const COMMONWARE: Self = Self::Commonware {
        sake: SakeVersion::V1,
        cups: CupsVersion::V1,
    };

    /// Whether it is the native one.
    #[must_use]
    pub const fn is_native(&self) -> bool {
        matches!(self, Self::Native { .. })
    }

    /// Whether its ends can tell each other of things that are no messages.
    pub(crate) const fn has_control_frames(&self) -> bool {
        self.is_native()
    }

    /// Returns the native wire, with the suite that this processor is fast at.
    #[must_use]
    pub fn native() -> Self {
        Self::Native {
            suite: Suite::preferred(),
        }
    }
}

impl Default for Wire {
    /// The [native](Self::native) one.
    fn default() -> Self {
        Self::native()
    }
}

/// A text that names no wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such wire; write native, native:aes-256-gcm, native:chacha20-poly1305, or commonware, or \
     that with its SAKE and CUPS versions, each v0 or v1, as in commonware:v1,v0"
)]
pub struct WireError;

impl FromStr for Wire {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        if text == "commonware" {
            return Ok(Self::COMMONWARE);
        }
        if text == "native" {
            return Ok(Self::native());
        }
        if let Some(suite) = text.strip_prefix("native:") {
            let suite = suite.parse().map_err(|_| WireError)?;
            return Ok(Self::Native { suite });
        }
        let versions = text.strip_prefix("commonware:").unwrap_or(text);
        let (sake, cups) = versions.split_once(',').ok_or(WireError)?;
        Ok(Self::Commonware {
            sake: match sake {
                "v0" => SakeVersion::V0,
                "v1" => SakeVersion::V1,
                _ => return Err(WireError),
            },
            cups: match cups {
                "v0" => CupsVersion::V0,
                "v1" => CupsVersion::V1,
                _ => return Err(WireError),
            },
        })
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sake, cups) = match self {
            Self::Commonware { sake, cups } => (sake, cups),
            Self::Native { suite } => return write!(f, "native:{suite}"),
        };
        let sake = match sake {
            SakeVersion::V0 => "v0",
            SakeVersion::V1 => "v1",
        };
        let cups = match cups {
            CupsVersion::V0 => "v0",
            CupsVersion::V1 => "v1",
        };
        write!(f, "commonware:{sake},{cups}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wire_is_read_as_it_is_written() {
        for sake in [SakeVersion::V0, SakeVersion::V1] {
            for cups in [CupsVersion::V0, CupsVersion::V1] {
                let wire = Wire::Commonware { sake, cups };
                let text = wire.to_string();
                assert_eq!(text.parse(), Ok(wire));
                let versions = text.strip_prefix("commonware:").unwrap();
                assert_eq!(versions.parse(), Ok(wire));
            }
        }
        assert_eq!("commonware".parse(), Ok(Wire::COMMONWARE));
        for suite in Suite::ALL {
            let wire = Wire::Native { suite };
            assert_eq!(wire.to_string().parse(), Ok(wire));
        }
        assert_eq!("native".parse(), Ok(Wire::native()));
    }

    #[test]
    fn what_names_no_wire_is_refused() {
        for text in [
            "",
            "v1",
            "v2,v1",
            "v1,v2",
            "commonware:",
            "commonware:v1",
            "Commonware",
            "v1,v1,v1",
            "native:",
            "native:aes",
            "native:v1,v1",
            " v1,v1",
        ] {
            assert_eq!(text.parse::<Wire>(), Err(WireError), "{text}");
        }
    }
}
