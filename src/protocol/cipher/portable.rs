//! The implementation for any processor.

#[cfg(feature = "openssl")]
pub(super) type Portable = super::open_ssl::OpenSsl;
#[cfg(not(feature = "openssl"))]
pub(super) type Portable = super::library::Library;
