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
        let mut ciphers = Self {
            in_use: DefaultAead::name(),
            rates: Vec::new(),
        };
        if !time.is_zero() {
            #[cfg(all(feature = "avx512", target_arch = "x86_64"))]
            ciphers.add::<ringseal::protocol::cipher::Avx512>(time);
            #[cfg(feature = "openssl")]
            ciphers.add::<ringseal::protocol::cipher::OpenSsl>(time);
            #[cfg(feature = "aws-lc-rs")]
            ciphers.add::<ringseal::protocol::cipher::AwsLc>(time);
            ciphers.add::<RustCrypto>(time);
        }
        ciphers
    }

    /// Measures a cipher, unless it has been under its name already: where the processor lacks
    /// what one needs, it is another one.
    fn add<A: Aead>(&mut self, time: Duration) {
        if self.rates.iter().all(|(name, _)| *name != A::name()) {
            self.rates.push((A::name(), rate::<A>(time)));
        }
    }
}

/// Plaintext bytes that it seals in a second.
fn rate<A: Aead>(time: Duration) -> f64 {
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
    bytes / start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cipher_that_stands_in_for_another_is_measured_once() {
        let mut ciphers = Ciphers {
            in_use: RustCrypto::name(),
            rates: Vec::new(),
        };
        for _ in 0..2 {
            ciphers.add::<RustCrypto>(Duration::from_millis(1));
        }
        let [(name, rate)] = ciphers.rates[..] else {
            panic!("not one: {ciphers:?}");
        };
        assert_eq!(name, RustCrypto::name());
        assert!(rate > 0.0);
        let all = Ciphers::measure(Duration::from_millis(1)).rates;
        for (index, (name, _)) in all.iter().enumerate() {
            assert!(
                all[..index].iter().all(|(other, _)| other != name),
                "{all:?}"
            );
        }
    }
}
