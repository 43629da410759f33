//! Both ends of a connection, of either wire, in any order of events: messages of all lengths and ways to
//! send them, updates, padding, ends, and a network that splits, changes and cuts.

use core::fmt::Debug;
use core::num::NonZeroU32;
use std::sync::Arc;

use ringseal::protocol::handshake as sake;
use ringseal::protocol::layout::{End, Incoming, Step};
use ringseal::protocol::native::handshake as native;
use ringseal::protocol::native::record::{Event, Opener, RefuseReason, SealOptions};
use ringseal::protocol::native::{Exporter, Settings, Suite, Suites};
use ringseal::protocol::record::CupsVersion;

use crate::direction::{Direction, Item, Sends};
use crate::ends::{self, DIALER, Draws, LISTENER, NAMESPACE};
use crate::input::{Flags, Input};

/// What one input may ask for.
const MAX_ACTS: usize = 200;

pub(crate) fn pair(data: &[u8]) {
    let mut input = Input::new(data);
    let mut flags = Flags::take_from(&mut input);
    match (flags.next(), flags.next()) {
        (false, is_other) => on_native(Suite::ALL[usize::from(is_other)], &mut flags, &mut input),
        (true, is_other) => {
            let cups = if is_other {
                CupsVersion::V1
            } else {
                CupsVersion::V0
            };
            on_commonware(cups, &mut flags, &mut input);
        }
    }
}

/// What an end of the native wire may be set up with.
fn parameters(input: &mut Input<'_>) -> native::Parameters {
    let record_limit = input.choose(&[16_384, 20_001, 65_536]);
    let message_limit = input.choose(&[Settings::UNLIMITED, 0, 5_000, 40_000]);
    let settings = Settings::new(record_limit, message_limit).expect("in range");
    let mut parameters = ends::native_parameters(settings);
    let packing_limit = SealOptions::DEFAULT_PACKING_LIMIT;
    parameters.seal_options.packing_limit = input.choose(&[packing_limit, 0, 100, usize::MAX]);
    let padding = input.choose(&[0, 0, 0, 1, 64, 5_000, u32::MAX]);
    parameters.seal_options.padding = NonZeroU32::new(padding);
    parameters
}

fn on_native(suite: Suite, flags: &mut Flags, input: &mut Input<'_>) {
    let is_refused = flags.next() && flags.next();
    let (dials, listens) = (parameters(input), parameters(input));
    let capacity = input.choose(&[64, 5_000, 70_000]);
    let piece = 1 + input.below(2_000);

    let (mut dialer, hello) = ends::dial_native(suite, &dials);
    let setup = native::ListenerSetup::new(Arc::clone(&LISTENER), listens, Suites::all());
    let mut listener = native::Listener::new(&setup.into());
    let (mut answer, mut proof, mut first) = (Vec::new(), Vec::new(), Vec::new());
    let event = hear(&mut listener, &hello, piece, &mut answer);
    assert_eq!(event, native::ListenerEvent::NeedMore);
    let mut dialed = None;
    for piece in answer.chunks(piece) {
        (_, dialed) = dialer.receive(piece, &mut proof).expect("it is honest");
    }
    let (by_dialer, opener, exporter) = dialed.expect("it is complete").split();
    let event = hear(&mut listener, &proof, piece, &mut answer);
    let peer = DIALER.public_key();
    assert_eq!(event, native::ListenerEvent::Admit { peer, suite });
    if is_refused {
        let reason = RefuseReason(u16::from_be_bytes(input.array()));
        listener.refuse(reason, &mut first).expect("it was asked");
        return hear_refusal(opener, first, reason);
    }
    let session = listener.admit(&mut first).expect("it was asked");
    let (by_listener, at_listener, exporter_there) = session.split();
    assert_eq!(exported(&exporter), exported(&exporter_there));
    let accepted = vec![Item::Event(Event::Accepted)];
    let there = Direction::new((by_dialer, at_listener), capacity, Vec::new(), Vec::new());
    let back = Direction::new((by_listener, opener), capacity, first, accepted);
    drive(there, back, input);
}

/// Gives the listener bytes in pieces, all of which it takes.
fn hear(
    listener: &mut native::Listener,
    bytes: &[u8],
    piece: usize,
    output: &mut Vec<u8>,
) -> native::ListenerEvent {
    let mut last = native::ListenerEvent::NeedMore;
    for piece in bytes.chunks(piece) {
        let received = listener.receive(piece, &mut Draws(2), output);
        let (consumed, event) = received.expect("it is honest");
        assert_eq!(consumed, piece.len());
        last = event;
    }
    last
}

/// The dialer's end of a refusal.
fn hear_refusal(mut opener: Opener, mut first: Vec<u8>, reason: RefuseReason) {
    let consumed = first.len();
    let event = Event::Refused(reason);
    assert_eq!(opener.open(&mut first), Ok(Step::Event { event, consumed }));
    assert_eq!(opener.finish(0), Ok(End::Authenticated));
}

fn exported(exporter: &Exporter) -> [u8; 16] {
    let mut output = [0; 16];
    let exported = exporter.export("fuzz", b"context", &mut output);
    exported.expect("a good label");
    output
}

fn on_commonware(cups: CupsVersion, flags: &mut Flags, input: &mut Input<'_>) {
    let mut parameters = sake::Parameters::new(NAMESPACE);
    if flags.next() {
        parameters.version = sake::SakeVersion::V0;
    }
    let limit = input.choose(&[100, 0, 70_000]);
    let capacity = input.choose(&[100, 5_000, 70_000]);
    let piece = 1 + input.below(200);
    let now = 1_000_000;

    let (mut draws, mut bytes) = (Draws(1), Vec::new());
    let peer = LISTENER.public_key();
    let dialer = sake::Dialer::new(&DIALER, peer, &parameters, now, &mut draws, &mut bytes);
    let mut dialer = dialer.expect("the key is good");
    let mut listener = sake::Listener::new(Arc::clone(&LISTENER), &parameters);
    let mut answer = Vec::new();
    assert!(hear_commonware(&mut listener, &bytes, (now, piece), &mut answer).is_none());
    bytes.clear();
    let mut dialed = None;
    for piece in answer.chunks(piece) {
        (_, dialed) = dialer.receive(piece, &mut bytes).expect("it is honest");
    }
    let accepted = hear_commonware(&mut listener, &bytes, (now, piece), &mut answer);
    let records = |session: sake::Session| session.records(cups, limit).expect("in range");
    let (by_dialer, at_dialer) = records(dialed.expect("it is complete"));
    let (by_listener, at_listener) = records(accepted.expect("it is complete"));
    let there = Direction::new((by_dialer, at_listener), capacity, Vec::new(), Vec::new());
    let back = Direction::new((by_listener, at_dialer), capacity, Vec::new(), Vec::new());
    drive(there, back, input);
}

/// Gives the listener bytes in pieces, all of which it takes.
fn hear_commonware(
    listener: &mut sake::Listener,
    bytes: &[u8],
    (now, piece): (u64, usize),
    output: &mut Vec<u8>,
) -> Option<sake::Session> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let piece = &rest[..piece.min(rest.len())];
        let received = listener.receive(piece, now, &mut Draws(2), output);
        let (consumed, event) = received.expect("it is honest");
        rest = &rest[consumed..];
        match event {
            sake::ListenerEvent::NeedMore => {}
            sake::ListenerEvent::Admit(_) => listener.admit(true).expect("it was asked"),
            sake::ListenerEvent::Done(_, session) => return Some(session),
        }
    }
    None
}

fn drive<S, R>(mut there: Direction<S, R>, mut back: Direction<S, R>, input: &mut Input<'_>)
where
    S: Sends,
    R: Incoming<Event: Into<Item>, Error: Debug>,
{
    for _ in 0..MAX_ACTS {
        if input.is_over() {
            break;
        }
        match input.byte() % 2 {
            0 => there.act(input),
            _ => back.act(input),
        }
    }
    there.finish();
    back.finish();
}
