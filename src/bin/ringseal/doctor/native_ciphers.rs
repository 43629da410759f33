//! Which library seals each suite of the native wire here, why, and how fast each one does.

use core::hint::black_box;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use getrandom::SysRng;
use rand_core::UnwrapErr;
use ringseal::Identity;
use ringseal::protocol::layout::{Draft, Outgoing};
use ringseal::protocol::native::handshake::{Dialer, Listener, ListenerSetup, Parameters};
use ringseal::protocol::native::record::Sealer;
use ringseal::protocol::native::{KemLibrary, Library, Settings, Suite, Suites};

use super::ciphers::MESSAGE_SIZE;
use super::processors::Processors;

/// For how long each is measured, unless less was asked for.
const TIME: Duration = Duration::from_millis(5);
/// Messages between two looks at the clock.
const MESSAGES: u32 = 4;
/// The features that decide, and in which order they are told.
const FEATURES: [&str; 7] = [
    "aes",
    "vaes",
    "vpclmulqdq",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
];

#[derive(Debug)]
pub(super) struct NativeCiphers {
    /// The one that a dialer takes who names none.
    pub(super) dialed: Suite,
    pub(super) suites: Vec<SuiteFinding>,
    /// What computes ML-KEM-768.
    pub(super) kem: &'static str,
    /// What the choice goes by, and whether it is there.
    pub(super) features: Vec<(&'static str, bool)>,
}

#[derive(Debug)]
pub(super) struct SuiteFinding {
    pub(super) suite: Suite,
    /// Who seals it.
    pub(super) library: &'static str,
    pub(super) reason: &'static str,
    /// Each library in this build with the plaintext bytes that it seals in a second; empty when
    /// not measured.
    pub(super) rates: Vec<(&'static str, f64)>,
}

impl NativeCiphers {
    /// Seals for a few milliseconds with each, or not at all.
    pub(super) fn measure(time: Duration, processors: &Processors) -> Self {
        let features = processors.features.iter().copied();
        Self {
            dialed: Suite::preferred(),
            suites: Suite::ALL
                .map(|suite| SuiteFinding::measure(suite, time.min(TIME), processors))
                .into(),
            kem: KemLibrary::default().name(),
            features: features
                .filter(|(name, _)| FEATURES.contains(name))
                .collect(),
        }
    }
}

impl SuiteFinding {
    fn measure(suite: Suite, time: Duration, processors: &Processors) -> Self {
        let library = Library::for_suite(suite).name(suite);
        let measured = Library::BUILT.iter().filter(|_| !time.is_zero());
        Self {
            suite,
            library,
            reason: reason(suite, library, processors),
            rates: measured
                .map(|&library| (library.name(suite), rate(suite, library, time)))
                .collect(),
        }
    }
}

/// Why it is this library.
fn reason(suite: Suite, library: &str, processors: &Processors) -> &'static str {
    if Library::BUILT.len() == 1 {
        return "no other is in this build";
    }
    if suite != Suite::Aes256Gcm {
        return "the preferred one of this build, on every processor";
    }
    let has_all = |names: &[&str]| names.iter().all(|name| processors.has(name));
    let has_vector_aes = has_all(&["vaes", "vpclmulqdq", "avx2"]);
    let has_avx512 = has_all(&["avx512f", "avx512bw", "avx512dq", "avx512vl"]);
    match (library, has_vector_aes, has_avx512) {
        ("ring", ..) => "vaes is here and avx512f with its kin is not: ring has code for that",
        ("aws-lc-rs", true, true) => "vaes and avx512f are here: aws-lc-rs has code for both",
        ("aws-lc-rs", true, false) => {
            "vaes is here and avx512f is not, for which ring has code; it is not in this build \
             (feature ring-crypto)"
        }
        _ if processors.has("aes") => {
            "aes is here and vaes is not: the preferred one of this build"
        }
        _ => "the preferred one of this build",
    }
}

/// Plaintext bytes that it seals in a second.
fn rate(suite: Suite, library: Library, time: Duration) -> f64 {
    let mut sealer = sealer(suite, library);
    let message = vec![0x5a; MESSAGE_SIZE];
    let planned = sealer.plan(MESSAGE_SIZE).expect("within the limit");
    let mut room = vec![0; planned.room()];
    let mut seal = || {
        let mut draft = Draft::new(&mut room[..]);
        let sealed = sealer.append(&mut draft, planned, black_box(&message));
        sealed.expect("room for one");
        sealer.finish(&mut draft).expect("nothing is open");
        black_box(draft.sealed());
    };
    // Code and memory are touched before the clock runs.
    seal();
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < time {
        for _ in 0..MESSAGES {
            seal();
        }
        count += MESSAGES;
    }
    f64::from(count) * MESSAGE_SIZE as f64 / start.elapsed().as_secs_f64()
}

/// What seals one direction, behind a handshake between two ends that are both here.
fn sealer(suite: Suite, library: Library) -> Sealer {
    let settings = Settings::new(Settings::MAX_RECORD_LIMIT, Settings::UNLIMITED);
    let mut parameters = Parameters::new(b"ringseal doctor", settings.expect("limits in range"));
    parameters.libraries.aes_256_gcm = library;
    parameters.libraries.chacha20_poly1305 = library;
    let [dials, listens] = [1, 2].map(|seed| Arc::new(Identity::from_seed(&[seed; 32])));
    let key = listens.public_key();
    let setup = Arc::new(ListenerSetup::new(
        listens,
        parameters.clone(),
        Suites::all(),
    ));
    let mut random = UnwrapErr(SysRng);
    let (mut hello, mut answer, mut proof) = (Vec::new(), Vec::new(), Vec::new());
    let dialer = Dialer::new(&dials, key, suite, &parameters, &mut random, &mut hello);
    let mut dialer = dialer.expect("a key that can be dialed");
    let mut listener = Listener::new(&setup);
    let answered = listener.receive(&hello, &mut random, &mut answer);
    answered.expect("a hello for it");
    let (_, session) = dialer.receive(&answer, &mut proof).expect("its answer");
    let (sealer, ..) = session.expect("the last message").split();
    sealer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_of_this_build_is_measured_once_for_each_suite() {
        let processors = Processors::look();
        let found = NativeCiphers::measure(Duration::from_millis(1), &processors);
        assert_eq!(found.suites.len(), Suite::ALL.len());
        for suite in &found.suites {
            let names: Vec<_> = suite.rates.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.len(), Library::BUILT.len(), "{suite:?}");
            assert!(names.contains(&suite.library), "{suite:?}");
            assert!(suite.rates.iter().all(|(_, rate)| *rate > 0.0), "{suite:?}");
        }
        let quick = NativeCiphers::measure(Duration::ZERO, &processors);
        assert!(quick.suites.iter().all(|suite| suite.rates.is_empty()));
    }
}
