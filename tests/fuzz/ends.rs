//! Who takes part: the same keys, the same random bytes and so the same messages each time.

use core::convert::Infallible;
use std::sync::{Arc, LazyLock};

use rand_core::{TryCryptoRng, TryRng};
use ringseal::protocol::native::handshake::{self as native, HELLO_LEN};
use ringseal::protocol::native::{KemLibrary, Settings, Suite};
use ringseal::{Identity, PublicKey};

pub(crate) const NAMESPACE: &[u8] = b"fuzz";

/// The points of small order of X25519, without the top bit, which nobody looks at.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    number(1),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
    near_the_field(0xec),
    near_the_field(0xed),
    near_the_field(0xee),
];

const fn number(low: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = low;
    bytes
}

/// 2^255 - 256 + `low`; the field has 2^255 - 19 elements.
const fn near_the_field(low: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = low;
    bytes[31] = 0x7f;
    bytes
}

/// Whether everybody shares the same secret with the owner of this key.
pub(crate) fn has_small_order(mut key: [u8; 32]) -> bool {
    key[31] &= 0x7f;
    SMALL_ORDER.contains(&key)
}

pub(crate) static DIALER: LazyLock<Arc<Identity>> = LazyLock::new(|| identity(1));
pub(crate) static LISTENER: LazyLock<Arc<Identity>> = LazyLock::new(|| identity(2));
static STRANGER: LazyLock<Arc<Identity>> = LazyLock::new(|| identity(3));

fn identity(tag: u8) -> Arc<Identity> {
    Arc::new(Identity::from_seed(&[tag; 32]))
}

/// One of three.
pub(crate) fn anybody(tag: u8) -> &'static Arc<Identity> {
    match tag % 3 {
        0 => &DIALER,
        1 => &LISTENER,
        _ => &STRANGER,
    }
}

/// A key of one of three, or one that is anything but a key.
pub(crate) fn any_key(tag: u8, bytes: [u8; 32]) -> [u8; 32] {
    match tag % 4 {
        3 => bytes,
        tag => *anybody(tag).public_key().as_bytes(),
    }
}

/// What an end takes unless the input says otherwise.
pub(crate) fn settings() -> Settings {
    Settings::new(16_384, 1 << 20).expect("in range")
}

/// Parameters by which all that is drawn comes from [`Draws`].
pub(crate) fn native_parameters(settings: Settings) -> native::Parameters {
    let mut parameters = native::Parameters::new(NAMESPACE, settings);
    parameters.libraries.ml_kem_768 = KemLibrary::RustCrypto;
    parameters
}

/// A dialer that has written its hello, and that hello.
pub(crate) fn dial_native(
    suite: Suite,
    parameters: &native::Parameters,
) -> (native::Dialer, [u8; HELLO_LEN]) {
    let (mut draws, mut hello) = (Draws(1), Vec::new());
    let peer: PublicKey = LISTENER.public_key();
    let dialer = native::Dialer::new(&DIALER, peer, suite, parameters, &mut draws, &mut hello);
    let hello = hello.try_into().expect("a hello has one length");
    (dialer.expect("the listener's key is good"), hello)
}

/// The hello of every dialer that has the same settings as others.
pub(crate) fn native_hello(suite: Suite) -> [u8; HELLO_LEN] {
    static HELLOS: LazyLock<[[u8; HELLO_LEN]; 2]> = LazyLock::new(|| {
        let parameters = native_parameters(settings());
        Suite::ALL.map(|suite| dial_native(suite, &parameters).1)
    });
    HELLOS[usize::from(suite == Suite::ALL[1])]
}

/// Random bytes that are always the same (SplitMix64).
pub(crate) struct Draws(pub(crate) u64);

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.try_next_u64()?.to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for chunk in target.chunks_mut(8) {
            let drawn = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Draws {}
