//! The library that seals messages of any length.

#[cfg(feature = "aws-lc-rs")]
pub(super) type Library = super::aws_lc::AwsLc;
#[cfg(not(feature = "aws-lc-rs"))]
pub(super) type Library = super::rust_crypto::RustCrypto;
