//! The mode packet: how SAKE and CUPS tell their versions apart (SPEC
//! section 1).
//!
//! A list of small numbers, one byte each, with the top bit set on every byte
//! but the last, after the zeros at the end are dropped. A list of only zeros
//! is no packet at all, so version 0 commits nothing to the transcript.

use alloc::vec::Vec;

/// The packet for `modes`, or `None` if they are all zero.
///
/// Each mode is at most 127.
pub(crate) fn packet(modes: &[u8]) -> Option<Vec<u8>> {
    debug_assert!(modes.iter().all(|mode| *mode < 0x80));
    let len = modes.iter().rposition(|mode| *mode != 0)? + 1;
    let mut packet: Vec<u8> = modes.iter().take(len).map(|mode| mode | 0x80).collect();
    if let Some(last) = packet.last_mut() {
        *last &= 0x7f;
    }
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::testing::{hex, list, number, vectors};

    /// The reader, which the protocol itself never needs: the modes without
    /// the dropped zeros, or nothing if `packet` is not the one form.
    fn read(bytes: &[u8], max_modes: usize) -> Option<Vec<u8>> {
        let modes: Vec<u8> = bytes.iter().map(|byte| byte & 0x7f).collect();
        (modes.len() <= max_modes && packet(&modes).as_deref() == Some(bytes)).then_some(modes)
    }

    #[test]
    fn vectors_hold() {
        let file = vectors!("modes.json");
        for case in list(&file["packets"]) {
            let modes: Vec<u8> = list(&case["modes"])
                .iter()
                .map(|mode| u8::try_from(number(mode)).unwrap())
                .collect();
            let expected = (!case["packet"].is_null()).then(|| hex(&case["packet"]));
            assert_eq!(packet(&modes), expected);
            if let Some(bytes) = expected {
                let mut read = read(&bytes, modes.len()).unwrap();
                read.resize(modes.len(), 0);
                assert_eq!(read, modes);
            }
        }
        for case in list(&file["rejected"]) {
            let max_modes = usize::try_from(number(&case["max_modes"])).unwrap();
            assert_eq!(read(&hex(&case["bytes"]), max_modes), None);
        }
    }
}
