//! The receiver of the native wire against any records that were sealed with the right keys.

use ringseal::protocol::native::{Settings, Suite};

use crate::input::{Flags, Input};
use crate::record_stream::{Setup, Stream};

/// Most of what one key may seal, in blocks.
const NEARLY_ALL: u64 = (1 << 26) - 40;
const MAX_RECORDS: usize = 64;

pub(crate) fn native_records(data: &[u8]) {
    let mut input = Input::new(data);
    let mut stream = Stream::new(&setup(&mut input));
    for _ in 0..MAX_RECORDS {
        if input.is_over() {
            break;
        }
        record(&mut input, &mut stream);
    }
    stream.finish();
}

fn setup(input: &mut Input<'_>) -> Setup {
    let mut flags = Flags::take_from(input);
    let suite = Suite::ALL[usize::from(flags.next())];
    let (answer_due, opens_into_places) = (flags.next(), flags.next());
    let used = if flags.next() { NEARLY_ALL } else { 0 };
    let record_limit = input.choose(&[16_384, 16_500, 70_000]);
    let message_limit = input.choose(&[Settings::UNLIMITED, 0, 5, 1_000, 40_000]);
    Setup {
        suite,
        own: Settings::new(record_limit, message_limit).expect("in range"),
        answer_due,
        used,
        opens_into_places,
        piece: 1 + input.below(20_000),
    }
}

/// Sends a record of the kind in the lower bits, whose body is so many bytes of the input, and as many
/// of one byte as the next flag has it say.
fn record(input: &mut Input<'_>, stream: &mut Stream) {
    let tag = input.byte();
    let kind = if tag & 0x07 > 4 {
        input.byte()
    } else {
        tag & 0x07
    };
    let length = usize::from(input.byte());
    let mut body = input.bytes(length).to_vec();
    if tag & 0x08 != 0 {
        // Twice as much as a number of two bytes, to get past the longest record.
        let length = body.len() + input.below(36_000) * 2;
        body.resize(length, input.byte());
    }
    if tag & 0x10 != 0 {
        let bit = input.below(usize::from(u16::MAX));
        return stream.send_changed(kind, &body, bit);
    }
    stream.send(kind, &body);
}
