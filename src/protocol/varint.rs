//! Unsigned LEB128 with exactly one accepted form per number (SPEC section 1).
//!
//! [`Decoder`] takes one byte at a time and refuses at the byte that makes a
//! form wrong, so a caller that is fed slowly never waits for bytes after the
//! one that already decided. Lengths on the wire are 32 bits wide; only the
//! transcript writes wider ones.

/// The most bytes a 32-bit varint takes.
pub(crate) const MAX_U32_LEN: usize = 5;
/// The most bytes a 64-bit varint takes.
pub(crate) const MAX_U64_LEN: usize = 10;

/// The bytes cannot be the beginning of a shortest-form 32-bit varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadVarint;

/// Reads one 32-bit varint, byte by byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder {
    value: u32,
    len: usize,
}

impl Decoder {
    pub(crate) const fn new() -> Self {
        Self { value: 0, len: 0 }
    }

    /// How many bytes were taken so far.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Takes one byte; gives the number once the last byte came.
    ///
    /// # Errors
    ///
    /// [`BadVarint`] for a zero byte after the first (the form is longer than
    /// needed) and for a fifth byte that carries more than four bits.
    #[inline]
    pub(crate) fn push(&mut self, byte: u8) -> Result<Option<u32>, BadVarint> {
        let overlong = byte == 0 && self.len > 0;
        let overflow = self.len + 1 >= MAX_U32_LEN && byte > 0x0f;
        if overlong || overflow {
            return Err(BadVarint);
        }
        self.value |= u32::from(byte & 0x7f) << (7 * self.len);
        self.len += 1;
        Ok((byte & 0x80 == 0).then_some(self.value))
    }
}

/// Reads a 32-bit varint at the start of `bytes`: its value and length, or
/// `None` if it goes on after the end.
///
/// # Errors
///
/// As [`Decoder::push`], whatever follows the offending byte.
#[inline]
pub(crate) fn decode_u32(bytes: &[u8]) -> Result<Option<(u32, usize)>, BadVarint> {
    let mut decoder = Decoder::new();
    for &byte in bytes {
        if let Some(value) = decoder.push(byte)? {
            return Ok(Some((value, decoder.len())));
        }
    }
    Ok(None)
}

/// How many bytes `value` takes.
#[inline]
pub(crate) const fn len_u64(value: u64) -> usize {
    // A zero takes one byte like a number of one bit.
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Writes `value` to the front of `target` and gives the number of bytes.
#[inline]
pub(crate) fn encode_u64(mut value: u64, target: &mut [u8; MAX_U64_LEN]) -> usize {
    let len = len_u64(value);
    for (index, byte) in target.iter_mut().take(len).enumerate() {
        let more = if index + 1 < len { 0x80 } else { 0 };
        *byte = value.to_le_bytes()[0] & 0x7f | more;
        value >>= 7;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{hex, list, number, vectors};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn encoded(value: u64) -> Vec<u8> {
        let mut target = [0; MAX_U64_LEN];
        let len = encode_u64(value, &mut target);
        target[..len].to_vec()
    }

    /// What the rule says, written without any bit tricks: find the end, sum
    /// the groups, and demand that encoding gives the same bytes again.
    fn model(bytes: &[u8]) -> Result<Option<(u32, usize)>, usize> {
        let mut value = 0_u128;
        for (index, &byte) in bytes.iter().enumerate() {
            value += u128::from(byte % 128) * 128_u128.pow(u32::try_from(index).unwrap());
            let last = byte < 128;
            let too_wide = value > u128::from(u32::MAX) || (index == 4 && !last);
            if too_wide || (byte == 0 && index > 0) {
                return Err(index);
            }
            if last {
                return Ok(Some((u32::try_from(value).unwrap(), index + 1)));
            }
        }
        Ok(None)
    }

    fn agrees_with_model(bytes: &[u8]) {
        match model(bytes) {
            Ok(expected) => assert_eq!(decode_u32(bytes), Ok(expected), "{bytes:02x?}"),
            Err(index) => {
                // The byte before was still fine, and what follows is not looked at.
                assert_eq!(decode_u32(&bytes[..index]), Ok(None), "{bytes:02x?}");
                assert_eq!(decode_u32(&bytes[..=index]), Err(BadVarint), "{bytes:02x?}");
                assert_eq!(decode_u32(bytes), Err(BadVarint), "{bytes:02x?}");
            }
        }
    }

    #[test]
    fn vectors_hold() {
        let file = vectors!("varint.json");
        for case in list(&file["u32"]).iter().chain(list(&file["u64"])) {
            let (value, bytes) = (number(&case["value"]), hex(&case["bytes"]));
            assert_eq!(encoded(value), bytes);
            assert_eq!(len_u64(value), bytes.len());
            if let Ok(value) = u32::try_from(value) {
                assert_eq!(decode_u32(&bytes), Ok(Some((value, bytes.len()))));
            }
        }
        for case in list(&file["u32_rejected"]) {
            let bytes = hex(&case["bytes"]);
            let at = usize::try_from(number(&case["rejected_at_byte"])).unwrap();
            assert_eq!(decode_u32(&bytes[..at - 1]), Ok(None));
            assert_eq!(decode_u32(&bytes[..at]), Err(BadVarint));
        }
        for case in list(&file["u32_incomplete"]) {
            assert_eq!(decode_u32(&hex(&case["bytes"])), Ok(None));
        }
    }

    // HAZARDS H5: every prefix of up to three bytes.
    #[test]
    fn short_prefixes_agree_with_the_model() {
        for first in 0..=255 {
            agrees_with_model(&[first]);
            for second in 0..=255 {
                agrees_with_model(&[first, second]);
                for third in 0..=255 {
                    agrees_with_model(&[first, second, third]);
                }
            }
        }
    }

    // HAZARDS H5: longer prefixes, drawn so that most bytes continue.
    proptest! {
        #[test]
        fn long_prefixes_agree_with_the_model(
            mut bytes in proptest::collection::vec(any::<u8>(), 4..12),
            continued in 0_usize..6,
        ) {
            for byte in bytes.iter_mut().take(continued) {
                *byte |= 0x80;
            }
            agrees_with_model(&bytes);
        }

        #[test]
        fn every_number_comes_back(value in any::<u32>(), shift in 0_u32..32) {
            let value = value >> shift;
            let bytes = encoded(u64::from(value));
            prop_assert_eq!(decode_u32(&bytes), Ok(Some((value, bytes.len()))));
        }
    }
}
