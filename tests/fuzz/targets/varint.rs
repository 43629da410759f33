//! Varints: prefixes of any bytes, and every number there and back.

use ringseal::internals::{decode_varint, encode_varint};

use crate::input::Input;
use crate::record_model;

pub(crate) fn varint(data: &[u8]) {
    match decode_varint(data) {
        Ok(Some((value, length))) => {
            let (expected, rest) = record_model::varint(data).expect("it is one");
            assert_eq!(
                (u64::from(value), length),
                (expected, data.len() - rest.len())
            );
            assert_eq!(encode_varint(value.into()), data[..length]);
            // Not a byte earlier.
            assert_eq!(decode_varint(&data[..length - 1]), Ok(None));
        }
        Ok(None) => {
            assert!(data.len() < 5 && data.iter().all(|byte| *byte >= 128));
            // One more byte would do.
            assert!(matches!(decode_varint(&[data, &[1]].concat()), Ok(Some(_))));
        }
        Err(_) => assert_eq!(record_model::varint(data), None),
    }
    let number = Input::new(data).number();
    let encoded = encode_varint(number);
    assert!(encoded.len() <= 10);
    let back = encoded
        .iter()
        .rev()
        .fold(0_u128, |value, byte| value << 7 | u128::from(byte % 128));
    assert_eq!(back, u128::from(number));
}
