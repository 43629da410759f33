//! Once everything is dropped, no secret of a connection is left in memory.
//!
//! A thread makes a connection of the vectors, from the identities to some messages, drops it all
//! and waits, deep below it the stack that was used. Another thread then looks for the secrets,
//! eight bytes at a time, in all memory that the process can write. It knows them by their
//! complement, so that it does not find its own.

#![cfg(target_os = "linux")]

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use rand_core::{TryCryptoRng, TryRng};
use ringseal::Identity;
use ringseal::protocol::cipher::{Aead, RustCrypto};
use ringseal::protocol::handshake::{Dialer, Listener, ListenerEvent, Parameters, Session};
use ringseal::protocol::layout::{Draft, Incoming, Outgoing, Step};
use ringseal::protocol::native::{self, KemLibrary, Libraries, Library, Settings, Suite, Suites};
use ringseal::protocol::record::{CupsVersion, Opener, Progress, Sealer};
use serde_json::Value;
use sha2::{Digest, Sha512};
use zeroize::{Zeroizing, zeroize_stack};

/// How many bytes of a secret are looked for at a time.
const WINDOW: usize = 8;

/// How many bytes of memory are read at a time.
const CHUNK: usize = 1 << 20;

/// Bytes of stack that a search may use.
const SEARCHED_WITH: usize = 64 * 1024;

/// What is looked for.
struct Finder {
    /// The name of each secret, by the complement of each of its windows.
    windows: HashMap<u64, String>,
    /// Whether a window may begin with these two bytes.
    beginnings: Vec<bool>,
}

impl Finder {
    fn new(secrets: &[(String, Vec<u8>)]) -> Self {
        let mut windows = HashMap::new();
        let mut beginnings = vec![false; 1 << 16];
        for (name, complement) in secrets {
            for window in complement.windows(WINDOW) {
                beginnings[beginning(window) ^ 0xffff] = true;
                windows.insert(number(window), name.clone());
            }
        }
        Self {
            windows,
            beginnings,
        }
    }

    /// What is found in all memory that the process can write. Leaves nothing of it where the next
    /// search would find that.
    fn search(&self) -> Vec<Found> {
        let found = self.search_below();
        zeroize_stack::<SEARCHED_WITH>();
        found
    }

    #[inline(never)]
    fn search_below(&self) -> Vec<Found> {
        let memory = File::open("/proc/self/mem").expect("our memory");
        let maps = fs::read_to_string("/proc/self/maps").expect("our maps");
        let mut chunk = Zeroizing::new(vec![0; CHUNK]);
        let own = chunk.as_ptr().addr();
        let mut found = Vec::new();
        for (mut at, end) in writable(&maps) {
            while at < end {
                let length = CHUNK.min(end - at);
                // Some of the kernel's own mappings cannot be read.
                let Ok(length) = memory.read_at(&mut chunk[..length], at as u64) else {
                    break;
                };
                for (offset, secret) in self.in_bytes(&chunk[..length]) {
                    let address = at + offset;
                    if !(own..own + CHUNK).contains(&address) {
                        add(&mut found, secret, address);
                    }
                }
                at += length.saturating_sub(WINDOW - 1).max(1);
            }
        }
        found
    }

    /// Where in some bytes a window of which secret begins.
    fn in_bytes(&self, bytes: &[u8]) -> impl Iterator<Item = (usize, &String)> {
        let windows = bytes.windows(WINDOW).enumerate();
        windows.filter_map(|(offset, window)| {
            if !self.beginnings[beginning(window)] {
                return None;
            }
            Some((offset, self.windows.get(&!number(window))?))
        })
    }
}

fn number(window: &[u8]) -> u64 {
    u64::from_le_bytes(window.try_into().expect("a window"))
}

/// The first two bytes.
fn beginning(window: &[u8]) -> usize {
    usize::from(window[0]) | usize::from(window[1]) << 8
}

/// A part of a secret in memory.
#[derive(Debug, PartialEq)]
struct Found {
    secret: String,
    address: usize,
    length: usize,
}

/// Adds a window to what was found, or to the last of it if it goes on there.
fn add(found: &mut Vec<Found>, secret: &str, address: usize) {
    if let Some(last) = found.last_mut()
        && last.secret == secret
        && last.address + last.length == address + WINDOW - 1
    {
        last.length += 1;
        return;
    }
    found.push(Found {
        secret: secret.to_owned(),
        address,
        length: WINDOW,
    });
}

/// The ranges of addresses that can be read and written.
fn writable(maps: &str) -> impl Iterator<Item = (usize, usize)> {
    let bound = |text: &str| usize::from_str_radix(text, 16).expect("an address");
    maps.lines().filter_map(move |line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        rest.starts_with("rw").then(|| (bound(start), bound(end)))
    })
}

/// Decodes hexadecimal text to where it will stay.
fn decode(text: &str, target: &mut [u8]) {
    assert_eq!(text.len(), 2 * target.len());
    for (index, byte) in target.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..][..2], 16).expect("two digits");
    }
}

/// The complement of bytes in hexadecimal text.
fn complement(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|index| !u8::from_str_radix(&text[2 * index..][..2], 16).expect("two digits"))
        .collect()
}

/// The complements of what a signature is computed with (RFC 8032, section 5.1.6): the scalar, and
/// what the nonce is made of.
fn signing_secrets(seed: &str) -> [(&'static str, Vec<u8>); 2] {
    #[inline(never)]
    fn expand(seed: &str) -> [(&'static str, Vec<u8>); 2] {
        let mut bytes = Zeroizing::new([0; 32]);
        decode(seed, &mut *bytes);
        let mut expanded = Zeroizing::new([0; 64]);
        Sha512::new_with_prefix(bytes.as_slice()).finalize_into((&mut *expanded).into());
        expanded[0] &= 0xf8;
        expanded[31] = expanded[31] & 0x7f | 0x40;
        let complement = |part: &[u8]| part.iter().map(|byte| !byte).collect();
        let (scalar, nonce) = expanded.split_at(32);
        [("scalar", complement(scalar)), ("nonce", complement(nonce))]
    }
    let secrets = expand(seed);
    zeroize_stack::<SEARCHED_WITH>();
    secrets
}

/// A file of the vectors, as text.
fn file(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let text = fs::read_to_string(folder.join(name)).expect("vectors");
    serde_json::from_str(&text).expect("vectors")
}

/// One connection of the vectors.
fn vectors() -> Value {
    file("connection-sake-v1-cups-v1.json")["cases"][0].clone()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn secrets_of(case: &Value) -> Vec<(String, Vec<u8>)> {
    let mut secrets = Vec::new();
    let mut add = |name: String, value: &Value| secrets.push((name, complement(text(value))));
    for side in ["dialer", "listener"] {
        for name in ["identity_seed", "ephemeral_secret", "ephemeral_clamped"] {
            add(format!("{name} of {side}"), &case[side][name]);
        }
    }
    for name in [
        "shared_secret",
        "final_summary",
        "cipher_key_l2d",
        "cipher_key_d2l",
    ] {
        add(name.into(), &case[name]);
    }
    let last_step = case["cups_transcript"]
        .as_array()
        .and_then(|steps| steps.last());
    add(
        "the records' summary".into(),
        &last_step.expect("steps")["summary"],
    );
    for side in ["dialer", "listener"] {
        for (name, complement) in signing_secrets(text(&case[side]["identity_seed"])) {
            secrets.push((format!("signing {name} of {side}"), complement));
        }
    }
    secrets
}

/// Draws what the vectors say, one after the other.
struct InTurn {
    text: String,
    at: usize,
}

impl InTurn {
    fn new<const N: usize>(side: &Value, names: [&str; N]) -> Self {
        let text = names.map(|name| text(&side[name])).concat();
        Self { text, at: 0 }
    }
}

impl TryRng for InTurn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only bytes are drawn");
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only bytes are drawn");
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        let end = self.at + 2 * target.len();
        decode(&self.text[self.at..end], target);
        self.at = end;
        Ok(())
    }
}

impl TryCryptoRng for InTurn {}

fn identity(side: &Value) -> Identity {
    let mut seed = Zeroizing::new([0; 32]);
    decode(text(&side["identity_seed"]), &mut *seed);
    Identity::from_seed(&seed)
}

fn now_ms(side: &Value) -> u64 {
    text(&side["now_ms"]).parse().expect("a time")
}

/// Both ends of the handshake in the vectors.
fn handshake(case: &Value) -> (Session, Session) {
    let (dialer, listener) = (&case["dialer"], &case["listener"]);
    let mut namespace = vec![0; text(&case["namespace"]).len() / 2];
    decode(text(&case["namespace"]), &mut namespace);
    let parameters = Parameters::new(&namespace);
    let (own, other) = (identity(dialer), Arc::new(identity(listener)));
    let peer = other.public_key();
    let mut random = InTurn::new(dialer, ["ephemeral_secret"]);
    let mut to_listener = Vec::new();
    let mut dialing = Dialer::new(
        &own,
        peer,
        &parameters,
        now_ms(dialer),
        &mut random,
        &mut to_listener,
    )
    .expect("a dialer");

    let mut listening = Listener::new(other, &parameters);
    let mut random = InTurn::new(listener, ["ephemeral_secret"]);
    let mut to_dialer = Vec::new();
    let mut receive = |input: &[u8]| {
        let (consumed, event) = listening
            .receive(input, now_ms(listener), &mut random, &mut to_dialer)
            .expect("a good dialer");
        if matches!(event, ListenerEvent::Admit(_)) {
            listening.admit(true).expect("it was asked");
        }
        (consumed, event)
    };
    let (consumed, _) = receive(&to_listener);
    receive(&to_listener[consumed..]);
    let mut ack = Vec::new();
    let (_, session) = dialing
        .receive(&to_dialer, &mut ack)
        .expect("a good listener");
    let mut receive = |input: &[u8]| {
        listening
            .receive(input, now_ms(listener), &mut random, &mut to_dialer)
            .expect("a good dialer")
    };
    let (_, event) = receive(&ack);
    let ListenerEvent::Done(_, other_session) = event else {
        panic!("the handshake is over");
    };
    (session.expect("the handshake is over"), other_session)
}

/// A message from one end to the other.
fn pass<A: Aead>(sealer: &mut Sealer<A>, opener: &mut Opener<A>, size: usize) {
    let mut record = vec![0; sealer.sealed_len(size).expect("a size")];
    sealer.seal(&vec![7; size], &mut record).expect("a record");
    let opened = opener.open(&mut record);
    assert!(matches!(opened, Ok(Progress::Message { .. })), "{opened:?}");
}

/// A whole connection; `while_alive` is called before it is dropped.
fn connection<A: Aead>(case: &Value, while_alive: impl FnOnce()) {
    let (dialer, listener) = handshake(case);
    let records = |session: Session| session.records_with::<A>(CupsVersion::V1, 1 << 20);
    let mut dialer = records(dialer).expect("a limit");
    let mut listener = records(listener).expect("a limit");
    for size in [0, 1, 64, 300, 1_000, 5_000, 100_000] {
        pass(&mut dialer.0, &mut listener.1, size);
        pass(&mut listener.0, &mut dialer.1, size);
    }
    while_alive();
}

/// Runs `work` far below the stack that its caller goes on to use.
#[inline(never)]
fn deep_down(levels: usize, work: &mut dyn FnMut()) {
    let frame = black_box([1_u8; 4096]);
    if levels == 0 {
        work();
    } else {
        deep_down(levels - 1, work);
    }
    black_box(&frame);
}

/// What is found of `finder` once a thread has done `work`, while its stack is still there; `work`
/// may let it be searched for before as well.
fn found_after(finder: &Finder, work: impl FnMut(&dyn Fn()) + Send) -> (Vec<Found>, Vec<Found>) {
    let mut searches = found_at_each_search(finder, work);
    let last = searches.pop().expect("one when it is done");
    (searches.into_iter().flatten().collect(), last)
}

/// What is found of `finder` each time that `work` has it searched for, and once it is done.
fn found_at_each_search(
    finder: &Finder,
    mut work: impl FnMut(&dyn Fn()) + Send,
) -> Vec<Vec<Found>> {
    let (search_sender, search) = mpsc::sync_channel(0);
    let (done_sender, done) = mpsc::sync_channel(0);
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let ask = || {
                search_sender.send(()).expect("a searcher");
                done.recv().expect("a searcher");
            };
            deep_down(32, &mut || work(&ask));
            ask();
        });
        for () in search {
            found.push(finder.search());
            done_sender.send(()).expect("the thread waits");
        }
    });
    found
}

/// One search at a time, so that none finds what another has alive.
static ALONE: Mutex<()> = Mutex::new(());

fn leaves_nothing<A: Aead>() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let case = vectors();
    let finder = Finder::new(&secrets_of(&case));
    // They are what is looked for, and are seen while they are needed.
    let (alive, _) = found_after(&finder, |search| connection::<A>(&case, search));
    for key in ["cipher_key_l2d", "cipher_key_d2l"] {
        let is_there = alive.iter().any(|found| found.secret == key);
        assert!(is_there, "{key} was not found while in use");
    }
    let (_, left) = found_after(&finder, |_| connection::<A>(&case, || ()));
    assert!(left.is_empty(), "{}: {left:#?}", A::name());
}

// HAZARDS F20.
#[test]
fn the_rust_cipher_leaves_nothing() {
    leaves_nothing::<RustCrypto>();
}

// HAZARDS F20.
#[cfg(feature = "aws-lc-rs")]
#[test]
fn the_cipher_of_aws_lc_leaves_nothing() {
    leaves_nothing::<ringseal::protocol::cipher::AwsLc>();
}

// HAZARDS F20.
#[cfg(feature = "openssl")]
#[test]
fn the_cipher_of_openssl_leaves_nothing() {
    leaves_nothing::<ringseal::protocol::cipher::OpenSsl>();
}

// HAZARDS F20.
#[cfg(all(feature = "avx512", target_arch = "x86_64"))]
#[test]
fn our_own_cipher_leaves_nothing() {
    leaves_nothing::<ringseal::protocol::cipher::Avx512>();
}

fn native_secrets_of(case: &Value) -> Vec<(String, Vec<u8>)> {
    let mut secrets = Vec::new();
    let mut add = |name: String, value: &Value| secrets.push((name, complement(text(value))));
    for name in [
        "dialer_seed",
        "listener_seed",
        "x",
        "y",
        "kem_seed_d_z",
        "encapsulation_randomness",
        "K",
        "Z",
        "hs",
        "master",
        "exporter",
    ] {
        add(name.into(), &case[name]);
    }
    for direction in ["dialer_to_listener", "listener_to_dialer"] {
        for name in ["secret", "key"] {
            add(format!("{name} of {direction}"), &case[direction][name]);
        }
    }
    let next = &case["dialer_to_listener"]["next"];
    for name in ["secret", "key"] {
        add(format!("next {name} of dialer_to_listener"), &next[name]);
    }
    for name in ["dialer_seed", "listener_seed"] {
        for (half, complement) in signing_secrets(text(&case[name])) {
            secrets.push((format!("signing {half} of {name}"), complement));
        }
    }
    secrets
}

/// Both ends of the native wire's handshake in the vectors, and the listener's first record.
fn native_handshake(
    case: &Value,
    suite: Suite,
    library: Library,
) -> (
    native::handshake::Session,
    native::handshake::Session,
    Vec<u8>,
) {
    let mut namespace = vec![0; text(&case["namespace"]).len() / 2];
    decode(text(&case["namespace"]), &mut namespace);
    let settings = Settings::new(65_536, Settings::UNLIMITED).expect("within the limits");
    let mut parameters = native::handshake::Parameters::new(&namespace, settings);
    let mut libraries = Libraries::default();
    (libraries.aes_256_gcm, libraries.chacha20_poly1305) = (library, library);
    // It draws from what it is given, and so has the secrets of the vectors.
    libraries.ml_kem_768 = KemLibrary::RustCrypto;
    parameters.libraries = libraries;
    let [own, other] = ["dialer_seed", "listener_seed"].map(|name| {
        let mut seed = Zeroizing::new([0; 32]);
        decode(text(&case[name]), &mut *seed);
        Arc::new(Identity::from_seed(&seed))
    });
    let mut hello = Vec::new();
    let mut dialing = native::handshake::Dialer::new(
        &own,
        other.public_key(),
        suite,
        &parameters,
        &mut InTurn::new(case, ["x", "kem_seed_d_z"]),
        &mut hello,
    )
    .expect("a dialer");
    let setup = native::handshake::ListenerSetup::new(other, parameters, Suites::all());
    let mut listening = native::handshake::Listener::new(&Arc::new(setup));
    let mut random = InTurn::new(case, ["y", "encapsulation_randomness"]);
    let mut answer = Vec::new();
    listening
        .receive(&hello, &mut random, &mut answer)
        .expect("a good dialer");
    let mut proof = Vec::new();
    let (_, session) = dialing
        .receive(&answer, &mut proof)
        .expect("a good listener");
    listening
        .receive(&proof, &mut random, &mut answer)
        .expect("a good dialer");
    answer.clear();
    let accepted = listening.admit(&mut answer).expect("it was asked");
    (session.expect("the handshake is over"), accepted, answer)
}

/// A whole connection of the native wire, from one end to the other with an update of keys;
/// `while_alive` is called before it is dropped.
fn native_connection(case: &Value, suite: Suite, library: Library, while_alive: impl FnOnce()) {
    let (dialer, listener, _) = native_handshake(case, suite, library);
    let (mut sealer, _opener, _exporter) = dialer.split();
    let (_sealer, mut opener, _other_exporter) = listener.split();
    while_alive();
    for size in [0, 1, 64, 5_000, 60_000] {
        pass_and_update(&mut sealer, &mut opener, size);
    }
}

/// A message from one end to the other, and an update of the keys that it was sealed with.
fn pass_and_update(
    sealer: &mut native::record::Sealer,
    opener: &mut native::record::Opener,
    size: usize,
) {
    let planned = sealer.plan(size).expect("a size");
    let mut draft = Draft::new(vec![0; planned.room() + 100]);
    sealer
        .append(&mut draft, planned, &vec![7; size])
        .expect("room");
    sealer.update(&mut draft).expect("room");
    let (mut stream, length) = draft.into_sealed();
    let mut rest = &mut stream[..length];
    while !rest.is_empty() {
        let consumed = match opener.open(rest).expect("a record") {
            Step::Packed { region, consumed } => {
                let message = opener.next_packed(&rest[region]);
                assert!(message.expect("a message").is_some());
                consumed
            }
            Step::Message { consumed, .. } | Step::Event { consumed, .. } => consumed,
            step => panic!("{step:?}"),
        };
        rest = &mut rest[consumed..];
    }
}

/// A connection of the native wire with one update of keys in each direction. `search` is called when
/// it is there, when one direction has new keys, and when both have.
fn updated_connection(case: &Value, suite: Suite, library: Library, search: &dyn Fn()) {
    let (dialer, listener, mut accept) = native_handshake(case, suite, library);
    let (mut sealer, mut opener, _exporter) = dialer.split();
    let (mut other_sealer, mut other_opener, _other_exporter) = listener.split();
    opener.open(&mut accept).expect("a record");
    search();
    pass_and_update(&mut sealer, &mut other_opener, 64);
    search();
    pass_and_update(&mut other_sealer, &mut opener, 5_000);
    search();
}

/// One connection of the native wire for each suite, by the vectors.
fn native_cases() -> Vec<(Suite, Value)> {
    let cases = file("native-handshake.json");
    // One of each suite has the settings that both ends are given here.
    let settings = "00010000ffffffffffffffff0000000000000000";
    let cases = cases.as_array().expect("cases").iter();
    let cases: Vec<_> = cases
        .filter(|case| case["dialer_settings"] == settings)
        .map(|case| match case["suite"].as_u64() {
            Some(1) => (Suite::Aes256Gcm, case.clone()),
            _ => (Suite::ChaCha20Poly1305, case.clone()),
        })
        .collect();
    assert_eq!(cases.len(), Suite::ALL.len());
    cases
}

// NATIVE section 3: a generation is wiped once there is the next one, while the connection lives on.
#[test]
fn updated_keys_are_gone_while_the_connection_lives() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let (forth, back) = ("dialer_to_listener", "listener_to_dialer");
    for (suite, case) in &native_cases() {
        let finder = Finder::new(&native_secrets_of(case));
        for &library in Library::BUILT {
            let mut stages = found_at_each_search(&finder, |search| {
                updated_connection(case, *suite, library, search);
            })
            .into_iter();
            let mut stage = || {
                let found = stages.next().expect("a search").into_iter();
                found.map(|found| found.secret).collect::<HashSet<_>>()
            };
            let (made, half, updated) = (stage(), stage(), stage());
            let is_in = |found: &HashSet<String>, name: &str, direction: &str| {
                found.contains(&format!("{name} of {direction}"))
            };
            let of = format!("{suite} by {library:?}");
            for direction in [forth, back] {
                assert!(is_in(&made, "secret", direction), "{of}: {direction}");
            }
            for name in ["secret", "key"] {
                assert!(!is_in(&half, name, forth), "{of}: old {name}");
            }
            assert!(is_in(&half, "next secret", forth), "{of}: what is searched");
            assert!(is_in(&half, "secret", back), "{of}: the other direction");
            // Nothing of the handshake either. Whether a library has the key itself in memory is up to
            // that; of the other direction the vectors have no next secret.
            let key = format!("next key of {forth}");
            let left: HashSet<_> = updated.into_iter().filter(|name| *name != key).collect();
            let next = format!("next secret of {forth}");
            assert_eq!(left, HashSet::from(["exporter".to_owned(), next]), "{of}");
        }
    }
}

// HAZARDS F20.
#[test]
fn the_native_wire_leaves_nothing() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    for (suite, case) in &native_cases() {
        let suite = *suite;
        let finder = Finder::new(&native_secrets_of(case));
        for &library in Library::BUILT {
            let (alive, _) = found_after(&finder, |search| {
                native_connection(case, suite, library, search);
            });
            for secret in ["exporter", "secret of dialer_to_listener"] {
                let is_there = alive.iter().any(|found| found.secret == secret);
                assert!(is_there, "{secret} was not found while in use");
            }
            let (_, left) = found_after(&finder, |_| {
                native_connection(case, suite, library, || ());
            });
            assert!(left.is_empty(), "{suite} by {library:?}: {left:#?}");
        }
    }
}

#[test]
fn what_is_left_on_purpose_is_found() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let planted = "8f1d2c3b4a5968778695a4b3c2d1e0f00f1e2d3c4b5a69788796a5b4c3d2e1ff";
    let finder = Finder::new(&[("planted".into(), complement(planted))]);
    let nothing = found_after(&finder, |_| ());
    assert_eq!(nothing, (vec![], vec![]));
    let (_, found) = found_after(&finder, |_| {
        let mut stack = [0; 32];
        decode(planted, &mut stack);
        black_box(&stack);
    });
    assert!(!found.is_empty(), "a dead frame was not searched");
    let (_, found) = found_after(&finder, |_| {
        let mut heap = vec![0; 64];
        decode(planted, &mut heap[32..]);
        drop(black_box(heap));
    });
    assert!(!found.is_empty(), "freed memory was not searched");
}
