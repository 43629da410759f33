//! What this crate is built from, and what is known of the cryptography in it.
//!
//! # How much there is
//!
//! Crates below the library, itself not counted, on `x86_64-unknown-linux-gnu`, as locked. By
//!
//! ```sh
//! .ci/supply --count
//! ```
//!
//! | features | crates |
//! |---|---|
//! | none | 84 |
//! | the default ones | 89 |
//! | the default ones and `avx512` | 90 |
//! | the default ones and `metrics` | 92 |
//! | the default ones and `openssl` | 94 |
//!
//! `.ci/supply` holds all of them, and those of the tests and benches, to the licences and registries that
//! `.cargo/deny.toml` lists, and the library to one version of each, but for those that are excused there
//! with a reason.
//!
//! # Cryptography
//!
//! Audits are named where a source for them was found, and "none known" says no more than that none was.
//! An audit is of the version that it was made of, never of the one here.
//!
//! | crate | what for | kept by | audits and proofs known | why this one |
//! |---|---|---|---|---|
//! | `aws-lc-rs` 1.19 (default) | AEADs of both wires, ML-KEM-768, X25519, signing | AWS | FIPS 140-3 certificates for the FIPS build of AWS-LC ([1]), which is not the build here | the fastest with AVX-512; a team that is paid to keep it |
//! | `ring` 0.17 (default) | AES-256-GCM on processors with vector AES and no AVX-512 | its author with the rustls team | Cure53, 2020, in a review of rustls that took it in: four small findings, all in rustls and webpki ([2]) | the fastest there |
//! | `aes-gcm` 0.11, `chacha20poly1305` 0.11 | AEADs where there is no C compiler | RustCrypto | NCC Group, 2020: no significant findings ([3]) | Rust throughout |
//! | `ml-kem` 0.3 | ML-KEM-768 where there is no C compiler | RustCrypto | none: its README says that nobody independent has audited it | Rust throughout, of those who keep the others; beside X25519, so that a fault leaves a connection as safe as that |
//! | `x25519-dalek` 3.0, `curve25519-dalek` 5.0 | X25519 where there is no C compiler; the curve of every check of a signature | dalek-cryptography | 280 functions of `curve25519-dalek` 4.1.3 were verified formally ([4]); no other known | asked for by the project |
//! | `ed25519-dalek` 3.0 | keys, checking signatures, and signing where there is no C compiler | dalek-cryptography | as above for the curve; none known of its own | asked for by the project |
//! | `ed25519-zebra` 5.0 | the reference's rule for signatures, on request | Zcash Foundation | none known of this version | the only one that keeps ZIP 215 |
//! | `hkdf` 0.13, `hmac` 0.13, `sha2` 0.11 | key schedule of the native wire | RustCrypto | none known | of those who keep the others |
//! | `blake3` 1.8 | transcript of the commonware wire | the BLAKE3 team | none known | the reference implementation, by its designers |
//! | `subtle` 2.6, `zeroize` 1.9 | comparing and wiping | dalek-cryptography, RustCrypto | none known | what the others take too |
//! | `getrandom` 0.4 | the kernel's random numbers | the Rand project | none known | what the others take too |
//! | `openssl` 0.10 (feature) | long messages | its author, over the system's OpenSSL | whatever holds for that OpenSSL | AVX-512 on systems that have it already |
//! | our own (feature `avx512`) | ChaCha20-Poly1305 with AVX-512 | this project | **none** | the fastest for this wire; off by default for that reason |
//!
//! [1]: https://github.com/aws/aws-lc-rs/releases/tag/v1.17.1
//! [2]: https://raw.githubusercontent.com/rustls/rustls/main/audit/TLS-01-report.pdf
//! [3]: https://web.archive.org/web/20200606025324/https://research.nccgroup.com/2020/02/26/public-report-rustcrypto-aes-gcm-and-chacha20poly1305-implementation-review/
//! [4]: https://verilib.org/cert/5132
