//! What the tests of this room share: the vector files and a scripted random
//! source.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;

/// Parses one file of `tests/vectors`.
macro_rules! vectors {
    ($name:literal) => {
        serde_json::from_str::<serde_json::Value>(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/vectors/",
            $name
        )))
        .unwrap()
    };
}
pub(crate) use vectors;

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A number written as such or, where it may pass 2^53, as a string.
pub(crate) fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| text(value).parse().unwrap())
}

pub(crate) fn hex(value: &Value) -> Vec<u8> {
    unhex(text(value))
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len())
        .step_by(2)
        .map(|index| u8::from_str_radix(&text[index..index + 2], 16).unwrap())
        .collect()
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}

/// The filler pattern of the vectors: byte i is `a + b*i + i/256`.
pub(crate) fn fill(pattern: &Value, len: usize) -> Vec<u8> {
    let (a, b) = (number(&pattern["a"]), number(&pattern["b"]));
    (0..len as u64)
        .map(|index| u8::try_from((a + b * index + index / 256) % 256).unwrap())
        .collect()
}

/// A byte string that may be long; what describes it more than once must agree.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let len = usize::try_from(number(&value["len"])).unwrap();
    let bytes = if value["hex"].is_string() {
        hex(&value["hex"])
    } else {
        fill(&value["fill"], len)
    };
    assert_eq!(bytes.len(), len);
    matches(&bytes, value);
    bytes
}

/// Checks `bytes` against whichever descriptions `value` holds.
pub(crate) fn matches(bytes: &[u8], value: &Value) {
    assert_eq!(bytes.len() as u64, number(&value["len"]));
    if value["hex"].is_string() {
        assert_eq!(bytes, hex(&value["hex"]));
    }
    if value["blake3"].is_string() {
        assert_eq!(
            blake3::hash(bytes).to_hex().as_str(),
            text(&value["blake3"])
        );
    }
}

/// Gives out the bytes it was made with and remembers how large each draw was.
#[derive(Debug, Default)]
pub(crate) struct Script {
    bytes: VecDeque<u8>,
    pub(crate) draws: Vec<usize>,
}

impl Script {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.iter().copied().collect(),
            draws: Vec::new(),
        }
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        self.draws.push(target.len());
        for byte in target {
            *byte = self.bytes.pop_front().expect("script is long enough");
        }
        Ok(())
    }
}

impl TryCryptoRng for Script {}
