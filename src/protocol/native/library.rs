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
        Self::fastest(suite, Self::BUILT, AesFeatures::of_processor())
    }

    /// Returns which of the libraries in `built`, the preferred one first, is the fastest for `suite`
    /// on a processor that has `features`.
    fn fastest(suite: Suite, built: &[Self], features: AesFeatures) -> Self {
        let prefers_ring = suite == Suite::Aes256Gcm && features.vector_aes && !features.avx512;
        let ring = built.iter().find(|library| library.is_ring());
        let preferred = ring.filter(|_| prefers_ring).or_else(|| built.first());
        preferred.copied().unwrap_or(Self::RustCrypto)
    }

    const fn is_ring(self) -> bool {
        match self {
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLc => false,
            #[cfg(feature = "ring-crypto")]
            Self::Ring => true,
            Self::RustCrypto => false,
        }
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

/// What decides which library is the fastest for AES-256-GCM on a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AesFeatures {
    /// Several blocks an instruction, for AES and for GHASH.
    vector_aes: bool,
    /// What aws-lc-rs asks for before it takes its AVX-512 code, but for that.
    avx512: bool,
}

impl AesFeatures {
    #[cfg(target_arch = "x86_64")]
    fn of_processor() -> Self {
        Self {
            vector_aes: is_x86_feature_detected!("vaes")
                && is_x86_feature_detected!("vpclmulqdq")
                && is_x86_feature_detected!("avx2"),
            avx512: is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    const fn of_processor() -> Self {
        Self {
            vector_aes: false,
            avx512: false,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: AesFeatures = features(false, false);
    const VECTOR_AES: AesFeatures = features(true, false);
    const AVX512: AesFeatures = features(false, true);
    const BOTH: AesFeatures = features(true, true);

    const fn features(vector_aes: bool, avx512: bool) -> AesFeatures {
        AesFeatures { vector_aes, avx512 }
    }

    #[cfg(all(feature = "aws-lc-rs", feature = "ring-crypto"))]
    #[test]
    fn ring_computes_aes_where_there_is_vector_aes_without_avx512() {
        use Library::{AwsLc, Ring, RustCrypto};
        let aes = Suite::Aes256Gcm;
        for (built, features, fastest) in [
            (&[AwsLc, Ring, RustCrypto][..], VECTOR_AES, Ring),
            (&[AwsLc, Ring, RustCrypto], BOTH, AwsLc),
            (&[AwsLc, Ring, RustCrypto], AVX512, AwsLc),
            (&[AwsLc, Ring, RustCrypto], NONE, AwsLc),
            (&[AwsLc, RustCrypto], VECTOR_AES, AwsLc),
            (&[AwsLc, RustCrypto], BOTH, AwsLc),
            (&[AwsLc, RustCrypto], NONE, AwsLc),
            (&[Ring, RustCrypto], VECTOR_AES, Ring),
            (&[Ring, RustCrypto], BOTH, Ring),
            (&[Ring, RustCrypto], NONE, Ring),
        ] {
            let chosen = Library::fastest(aes, built, features);
            assert_eq!(chosen, fastest, "{built:?} {features:?}");
        }
    }

    #[test]
    fn processors_make_no_difference_to_chacha20() {
        for features in [NONE, VECTOR_AES, AVX512, BOTH] {
            let chosen = Library::fastest(Suite::ChaCha20Poly1305, Library::BUILT, features);
            assert_eq!(chosen, Library::BUILT[0], "{features:?}");
        }
    }

    #[test]
    fn a_build_without_c_takes_the_crates_in_rust() {
        for suite in Suite::ALL {
            for features in [NONE, VECTOR_AES, AVX512, BOTH] {
                let chosen = Library::fastest(suite, &[Library::RustCrypto], features);
                assert_eq!(chosen, Library::RustCrypto);
            }
        }
    }

    #[test]
    fn the_choice_for_this_processor_is_the_default() {
        let libraries = Libraries::default();
        for suite in Suite::ALL {
            let features = AesFeatures::of_processor();
            let fastest = Library::fastest(suite, Library::BUILT, features);
            assert_eq!(Library::for_suite(suite), fastest);
            assert_eq!(libraries.of(suite), fastest);
        }
    }
}
