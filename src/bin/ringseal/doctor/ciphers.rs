//! How fast each of the compiled-in ciphers seals here.

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use ringseal::protocol::cipher::{Aead, DefaultAead, RustCrypto, TAG_LEN};

/// Bytes in a message.
pub(super) const MESSAGE_SIZE: usize = 16 * 1024;
/// Messages between two looks at the clock.
const MESSAGES: u64 = 16;

#[derive(Debug)]
pub(super) struct Ciphers {
    /// The one that connections use.
    pub(super) in_use: &'static str,
    /// Each with the plaintext bytes that it seals in a second; empty when not measured.
    pub(super) rates: Vec<(&'static str, f64)>,
}

impl Ciphers {
    /// Seals for `time` with each.
    pub(super) fn measure(time: Duration) -> Self {
        let mut rates = Vec::new();
        if !time.is_zero() {
            #[cfg(all(feature = "avx512", target_arch = "x86_64"))]
            rates.push(rate::<ringseal::protocol::cipher::Avx512>(time));
            #[cfg(feature = "openssl")]
            rates.push(rate::<ringseal::protocol::cipher::OpenSsl>(time));
            #[cfg(feature = "aws-lc-rs")]
            rates.push(rate::<ringseal::protocol::cipher::AwsLc>(time));
            rates.push(rate::<RustCrypto>(time));
        }
        Self {
            in_use: DefaultAead::name(),
            rates,
        }
    }
}

fn rate<A: Aead>(time: Duration) -> (&'static str, f64) {
    let mut cipher = A::new(&[0x5a; 32]);
    let message = vec![0x5a; MESSAGE_SIZE];
    let mut sealed = vec![0; MESSAGE_SIZE + TAG_LEN];
    let mut nonce = [0; 12];
    let mut count = 0_u64;
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..MESSAGES {
            nonce[..8].copy_from_slice(&count.to_le_bytes());
            let result = cipher.seal(&nonce, black_box(&message), &mut sealed);
            result.expect("lengths that fit");
            black_box(&mut sealed);
            count += 1;
        }
    }
    let bytes = count as f64 * MESSAGE_SIZE as f64;
    (A::name(), bytes / start.elapsed().as_secs_f64())
}
