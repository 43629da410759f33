//! The receiver of the native wire against any control frames, between messages and within one, where
//! an answer about admission is due and where none is.

use ringseal::protocol::native::{Settings, Suite};

use crate::input::{Flags, Input};
use crate::record_stream::{Setup, Stream};

const CONTROL: u8 = 3;
const PART: u8 = 2;
const MESSAGE: u8 = 1;

pub(crate) fn native_control(data: &[u8]) {
    let mut input = Input::new(data);
    let mut flags = Flags::take_from(&mut input);
    let own = Settings::new(16_384, Settings::UNLIMITED).expect("in range");
    let mut stream = Stream::new(&Setup {
        suite: Suite::ALL[usize::from(flags.next())],
        own,
        answer_due: flags.next(),
        used: 0,
        opens_into_places: flags.next(),
        piece: 1 + input.below(64),
    });
    while !input.is_over() && stream.is_live() {
        match input.byte() {
            0xfe => stream.send(PART, b"part"),
            0xff => stream.send(MESSAGE, b"rest"),
            // One byte more than a frame may have is the most.
            length => stream.send(CONTROL, input.bytes(usize::from(length).min(4))),
        }
        if input.byte() == 0xff {
            let frame = [&[0x90][..], &[0; 255]].concat();
            let length = 1 + input.below(frame.len());
            stream.send(CONTROL, &frame[..length]);
        }
    }
    stream.finish();
}
