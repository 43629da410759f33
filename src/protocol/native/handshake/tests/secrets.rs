//! No secret of a connection stays in memory once it is dropped (S11, F20): a process searches all
//! it can write to, live frames and dead ones.

use super::super::kem::{self, DecapsulationKey};
use super::super::schedule::{self, Exchange};
use super::*;
use crate::protocol::ephemeral::Ephemeral;
use crate::protocol::layout::{Draft, Incoming, Outgoing, Step};
use crate::protocol::native::derive::{self, Secret};
use crate::protocol::native::record::{Opener, Sealer};
use crate::protocol::native::{Libraries, Library};
use alloc::string::String;
use core::hint::black_box;
use core::ops::Range;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;

/// So that what is searched for is not found in the list of it.
const MASK: u8 = 0xa5;

/// A secret that must not be found.
struct Wanted {
    name: &'static str,
    masked: [u8; 32],
}

impl Wanted {
    fn new(name: &'static str, secret: &[u8; 32]) -> Self {
        let mut masked = [0; 32];
        for (target, byte) in masked.iter_mut().zip(secret) {
            *target = byte ^ MASK;
        }
        Self { name, masked }
    }

    fn is_at(&self, window: &[u8]) -> bool {
        window
            .iter()
            .zip(&self.masked)
            .all(|(byte, masked)| byte ^ MASK == *masked)
    }
}

/// The memory of this process that can be written to and belongs to no file.
fn mappings() -> Vec<Range<u64>> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let writable = maps.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (range, access) = (fields.next()?, fields.next()?);
        let (start, end) = range.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        access
            .starts_with("rw-p")
            .then(|| number(start)..number(end))
    });
    writable.collect()
}

/// Searches the memory of this process and names what is found.
fn found(wanted: &[Wanted]) -> Vec<&'static str> {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut names = vec![];
    // Most places are passed over by their first byte.
    let mut begins = [false; 256];
    for wanted in wanted {
        begins[usize::from(wanted.masked[0] ^ MASK)] = true;
    }
    for mapping in mappings() {
        let mut bytes = vec![0; usize::try_from(mapping.end - mapping.start).unwrap()];
        // The allocator may have given some back meanwhile.
        let read = memory.read_at(&mut bytes, mapping.start).unwrap_or(0);
        let windows = bytes[..read].windows(32);
        for window in windows.filter(|window| begins[usize::from(window[0])]) {
            let here = wanted.iter().filter(|wanted| wanted.is_at(window));
            names.extend(here.map(|wanted| wanted.name));
        }
        // What was read may hold what was found.
        bytes.fill(0);
        black_box(&bytes);
    }
    names
}

/// Runs `work` deep in the stack, so that what comes after it does not tidy up by chance.
#[inline(never)]
fn deep<T>(work: impl FnOnce() -> T) -> T {
    let above = [0_u8; 64 * 1024];
    black_box(&above);
    let result = work();
    black_box(&above);
    result
}

/// What both ends of a recorded handshake computed on the way.
fn secrets_of(dialing: &End, listening: &End, recorded: &Recorded, suite: Suite) -> Vec<Wanted> {
    let mut rng = Script::new(&dialing.random);
    let ephemeral = Ephemeral::draw(&mut rng);
    let library = KemLibrary::RustCrypto;
    let key = DecapsulationKey::generate(library, &mut rng, &mut [0; kem::KEY_LEN]);
    let (exchanged, part) = recorded.answer.split_at(32 + kem::CIPHERTEXT_LEN);
    let (theirs, ciphertext) = exchanged.split_at(32);
    let agreed = ephemeral.agree(theirs.try_into().unwrap()).unwrap();
    let encapsulated = key.decapsulate(ciphertext.try_into().unwrap()).unwrap();

    let h0 = schedule::transcript(listening.public_key(), &dialing.parameters.namespace);
    let h1 = derive::hash(&[&h0, &recorded.hello]);
    let h2 = derive::hash(&[&h1, exchanged]);
    let h3 = derive::hash(&[&h2, part]);
    let h4 = derive::hash(&[&h3, &recorded.proof]);
    let exchange = Exchange::new(suite, Library::RustCrypto, &h2, &encapsulated, &agreed);
    let hs = exchange.secret();
    let master = derive::secret(hs, "master", &h4);
    let by_dialer = derive::secret(&master, "dialer to listener", &[]);
    let by_listener = derive::secret(&master, "listener to dialer", &[]);
    let next = derive::secret(&by_dialer, "update", &[]);
    let key_of = |secret: &Secret| derive::secret(secret, "key", &[]);
    [
        ("K", &encapsulated),
        ("Z", &zeroize::Zeroizing::new(*agreed)),
        ("hs", hs),
        ("listener key", &derive::secret(hs, "listener key", &h2)),
        (
            "listener finished",
            &derive::secret(hs, "listener finished", &h2),
        ),
        ("dialer key", &derive::secret(hs, "dialer key", &h3)),
        (
            "dialer finished",
            &derive::secret(hs, "dialer finished", &h3),
        ),
        ("master", &master),
        ("exporter", &derive::secret(&master, "exporter", &[])),
        ("secret of the dialer", &by_dialer),
        ("key of the dialer", &key_of(&by_dialer)),
        ("secret of the listener", &by_listener),
        ("key of the listener", &key_of(&by_listener)),
        ("next secret of the dialer", &next),
        ("next key of the dialer", &key_of(&next)),
    ]
    .map(|(name, secret)| Wanted::new(name, secret))
    .into()
}

/// Sends a message, updates the keys, and sends another.
fn talk(sealer: &mut Sealer, opener: &mut Opener) {
    let mut draft = Draft::new(vec![0; 1_000]);
    for _ in 0..2 {
        let planned = sealer.plan(5).unwrap();
        sealer.append(&mut draft, planned, b"hello").unwrap();
        sealer.update(&mut draft).unwrap();
    }
    let (mut stream, length) = draft.into_sealed();
    let mut rest = &mut stream[..length];
    while !rest.is_empty() {
        let consumed = match opener.open(rest).unwrap() {
            Step::Packed { region, consumed } => {
                assert!(opener.next_packed(&rest[region]).unwrap().is_some());
                consumed
            }
            Step::Event { consumed, .. } => consumed,
            other => panic!("{other:?}"),
        };
        rest = &mut rest[consumed..];
    }
}

fn ends(library: Library) -> (End, End) {
    [1, 2]
        .map(|tag| {
            let mut end = End::new(tag).scripted();
            end.parameters.libraries = Libraries {
                aes_256_gcm: library,
                chacha20_poly1305: library,
                ml_kem_768: KemLibrary::RustCrypto,
            };
            // Secrets that no other test has.
            end.random = (0..96).map(|index| 0x90 + tag * 7 + index).collect();
            end
        })
        .into()
}

/// Overwrites what `deep` and the test itself left.
#[inline(never)]
fn tidy_stack() {
    let zeros = [0_u8; 1 << 20];
    black_box(&zeros);
}

fn search() {
    for suite in Suite::ALL {
        for &library in Library::BUILT {
            let (dialing, listening) = ends(library);
            let wanted = deep(|| {
                let recorded = connect(&dialing, &listening, suite);
                secrets_of(&dialing, &listening, &recorded, suite)
            });
            tidy_stack();
            let while_alive = deep(|| {
                let recorded = connect(&dialing, &listening, suite);
                let (mut sealer, _, exporter) = recorded.dialer.split();
                let (_, mut opener, _) = recorded.listener.split();
                let found = found(&wanted);
                talk(&mut sealer, &mut opener);
                drop((sealer, opener, exporter));
                found
            });
            let left = found(&wanted);
            // The search does find what is there.
            for name in ["exporter", "secret of the dialer"] {
                assert!(while_alive.contains(&name), "{name} was not found");
            }
            for name in ["K", "Z", "hs", "master", "dialer finished"] {
                assert!(
                    !while_alive.contains(&name),
                    "{name} outlives the handshake"
                );
            }
            assert!(left.is_empty(), "{suite} by {library:?} leaves {left:?}");
        }
    }
}

/// Tells the test that it runs in a process of its own.
const ALONE: &str = "RINGSEAL_SEARCH_FOR_SECRETS";

#[test]
fn nothing_of_a_connection_is_left_once_it_is_dropped() {
    if std::env::var_os(ALONE).is_some() {
        return search();
    }
    // Alone, because other tests have memory of their own to search through.
    let name = "nothing_of_a_connection_is_left_once_it_is_dropped";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--test-threads", "1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}
