//! Which library computes what: chosen by processor when a process starts, or by configuration.

use super::Suite;

/// A library that computes a suite.
///
/// | library | kept by | brings |
/// |---|---|---|
/// | `aws-lc-rs` (feature of that name) | AWS, which also keeps AWS-LC below it | C and assembly; parts are formally verified, and it has been through FIPS validations |
/// | `ring` (feature `ring-crypto`) | its author with the rustls team, since February 2025 (RUSTSEC-2025-0007, withdrawn) | C and assembly, `untrusted`, `getrandom`, `cfg-if` |
/// | `aes-gcm`, `chacha20poly1305` | the RustCrypto organisation | Rust only; NCC Group audited both in 2020, in versions before these |
/// | `ml-kem` | the RustCrypto organisation | Rust only; **never audited by anybody independent**, as its own README says |
///
/// A build without the first two needs no C compiler. It takes the RustCrypto crates for
/// everything, and so rests on ML-KEM code that nobody has audited; the exchange is a hybrid, so
/// that a flaw there leaves a connection as safe as X25519 alone.
///
/// # AES-256-GCM by processor
///
/// `ring` has code for vector AES without AVX-512, `aws-lc-rs` for vector AES with it. Sealing in
/// place, one core, GB/s (at 64 bytes: nanoseconds):
///
/// | processor | library | 64 B | 1 KiB | 16 KiB | 64 KiB |
/// |---|---|---|---|---|---|
/// | Zen 3 (VAES, no AVX-512) | `aws-lc-rs` | 144-164 | 1.6-2.4 | 2.4-3.7 | 2.6-3.7 |
/// | | `ring` | **103** | **4.3** | **5.1** | **5.2** |
/// | Zen 4 (VAES, AVX-512) | `aws-lc-rs` | **94** | **4.7** | **10.0** | **10.6** |
///
/// So [`Library::for_suite`] gives `ring` where there is VAES without AVX-512, and `aws-lc-rs`
/// elsewhere. Set [`Libraries`] to decide otherwise. The choice never shows on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Library {
    /// `aws-lc-rs`. Also seals from one buffer into another.
    #[cfg(feature = "aws-lc-rs")]
    AwsLc,
    /// `ring`. Seals in place only, so that a message elsewhere is copied first.
    #[cfg(feature = "ring-crypto")]
    Ring,
    /// `aes-gcm` and `chacha20poly1305`, in Rust throughout.
    RustCrypto,
}

impl Library {
    /// The libraries in this build, the preferred one first where processors do not differ.
    pub const BUILT: &'static [Self] = &[
        #[cfg(feature = "aws-lc-rs")]
        Self::AwsLc,
        #[cfg(feature = "ring-crypto")]
        Self::Ring,
        Self::RustCrypto,
    ];

    /// Returns the library in this build that is the fastest for `suite` on this processor.
    #[must_use]
    pub fn for_suite(suite: Suite) -> Self {
        #[cfg(feature = "ring-crypto")]
        if suite == Suite::Aes256Gcm && has_vector_aes_without_avx512() {
            return Self::Ring;
        }
        let _ = suite;
        Self::BUILT.first().copied().unwrap_or(Self::RustCrypto)
    }

    /// Returns the name of the crate that computes `suite`, for logs and reports.
    #[must_use]
    pub const fn name(self, suite: Suite) -> &'static str {
        match (self, suite) {
            #[cfg(feature = "aws-lc-rs")]
            (Self::AwsLc, _) => "aws-lc-rs",
            #[cfg(feature = "ring-crypto")]
            (Self::Ring, _) => "ring",
            (Self::RustCrypto, Suite::Aes256Gcm) => "aes-gcm",
            (Self::RustCrypto, Suite::ChaCha20Poly1305) => "chacha20poly1305",
        }
    }
}

#[cfg(all(feature = "ring-crypto", target_arch = "x86_64"))]
fn has_vector_aes_without_avx512() -> bool {
    let vector_aes = is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("avx2");
    // What aws-lc-rs asks for before it takes its AVX-512 code.
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    vector_aes && !avx512
}

#[cfg(all(feature = "ring-crypto", not(target_arch = "x86_64")))]
const fn has_vector_aes_without_avx512() -> bool {
    false
}

/// A library that computes ML-KEM-768.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KemLibrary {
    /// `aws-lc-rs`. It takes no randomness: it draws from its own generator, which the system
    /// seeds.
    #[cfg(feature = "aws-lc-rs")]
    AwsLc,
    /// `ml-kem`, which has not been audited. It draws from the random source that the handshake
    /// is given.
    RustCrypto,
}

impl KemLibrary {
    /// The libraries in this build, the preferred one first.
    pub const BUILT: &'static [Self] = &[
        #[cfg(feature = "aws-lc-rs")]
        Self::AwsLc,
        Self::RustCrypto,
    ];

    /// Returns the name of the crate, for logs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => "aws-lc-rs",
            Self::RustCrypto => "ml-kem",
        }
    }
}

impl Default for KemLibrary {
    /// The preferred one of this build.
    fn default() -> Self {
        Self::BUILT.first().copied().unwrap_or(Self::RustCrypto)
    }
}

/// Which library computes what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Libraries {
    /// For [`Suite::Aes256Gcm`].
    pub aes_256_gcm: Library,
    /// For [`Suite::ChaCha20Poly1305`].
    pub chacha20_poly1305: Library,
    /// For the post-quantum half of the key exchange.
    pub ml_kem_768: KemLibrary,
}

impl Libraries {
    /// Returns the library for `suite`.
    #[must_use]
    pub const fn of(&self, suite: Suite) -> Library {
        match suite {
            Suite::Aes256Gcm => self.aes_256_gcm,
            Suite::ChaCha20Poly1305 => self.chacha20_poly1305,
        }
    }
}

impl Default for Libraries {
    /// The fastest of this build on this processor.
    fn default() -> Self {
        Self {
            aes_256_gcm: Library::for_suite(Suite::Aes256Gcm),
            chacha20_poly1305: Library::for_suite(Suite::ChaCha20Poly1305),
            ml_kem_768: KemLibrary::default(),
        }
    }
}
