//! Settings of any peer of the native wire, and a sender that keeps to them.

use core::num::NonZeroU32;

use ringseal::internals::native_forge::{settings_from, settings_to};
use ringseal::internals::native_raw::pair;
use ringseal::protocol::layout::{Draft, Outgoing};
use ringseal::protocol::native::record::{Opener, SealError, SealOptions, Sealer};
use ringseal::protocol::native::{Settings, Suite};

use crate::input::{Flags, Input};
use crate::record_model::Given;
use crate::record_reader::{Reader, State};

/// Messages that take more room are planned, and not sent.
const MAX_ROOM: usize = 1 << 17;

pub(crate) fn settings(data: &[u8]) {
    let mut input = Input::new(data);
    let bytes: [u8; 20] = input.array();
    let limit = u32::from_be_bytes(bytes[..4].try_into().expect("4 bytes"));
    let range = Settings::MIN_RECORD_LIMIT..=Settings::MAX_RECORD_LIMIT;
    let settings = settings_from(bytes);
    assert_eq!(settings.is_ok(), range.contains(&limit));
    let Ok(settings) = settings else {
        return;
    };
    assert_eq!(settings_to(settings), bytes, "as they were signed");
    assert_eq!(settings.record_limit(), limit);
    let idle = settings.idle_time().map_or(0, |time| time.as_millis());
    assert_eq!(
        idle,
        u128::from(u32::from_be_bytes(
            bytes[12..16].try_into().expect("4 bytes")
        ))
    );

    let mut flags = Flags::take_from(&mut input);
    let suite = Suite::ALL[usize::from(flags.next())];
    let mut options = SealOptions::default();
    options.padding = NonZeroU32::new(u32::from_be_bytes(input.array()));
    options.packing_limit = input.choose(&[0, 100, SealOptions::DEFAULT_PACKING_LIMIT, usize::MAX]);
    let (mut sealer, opener) = pair(suite, &settings, &options);
    let length = u32::from_be_bytes(input.array());
    send(
        &mut sealer,
        opener,
        &settings,
        length.try_into().expect("32 bits"),
    );
}

/// Sends a message of `length` bytes, if the peer takes it.
fn send(sealer: &mut Sealer, opener: Opener, settings: &Settings, length: usize) {
    let limit = settings.message_limit();
    let planned = match sealer.plan(length) {
        Ok(planned) => planned,
        Err(error) => {
            let length = length as u64;
            assert_eq!(error, SealError::TooLarge { length, limit });
            return assert!(length > limit);
        }
    };
    assert!(length as u64 <= limit && planned.length() == length);
    if planned.room() > MAX_ROOM {
        return;
    }
    let message: Vec<u8> = (0..length).map(|index| index.to_le_bytes()[0]).collect();
    let mut draft = Draft::new(vec![0xaa; planned.room()]);
    let appended = sealer.append(&mut draft, planned, &message);
    appended.expect("it was said to have room");
    sealer.finish(&mut draft).expect("it seals");
    let mut reader = Reader::new(opener, false);
    reader.push(draft.sealed());
    assert_eq!(reader.state, State::Waits);
    let mut received = Vec::new();
    for given in reader.given {
        match given {
            Given::Message(bytes) | Given::Part(bytes, _) => received.extend(bytes),
            Given::Event(event) => panic!("{event:?}"),
        }
    }
    assert!(received == message);
}
