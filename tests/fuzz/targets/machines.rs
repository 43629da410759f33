//! The machines that decide what a connection sends and reads, in any order of events.

use core::num::NonZeroU32;

use ringseal::internals::{check_machines_on_commonware, check_machines_on_native};
use ringseal::protocol::native::Suite;
use ringseal::protocol::native::record::SealOptions;
use ringseal::protocol::record::CupsVersion;

use crate::input::{Flags, Input};

const MAX_STEPS: usize = 200;

pub(crate) fn machines(data: &[u8]) {
    let mut input = Input::new(data);
    let mut flags = Flags::take_from(&mut input);
    let (is_native, is_other) = (flags.next(), flags.next());
    let longest = match is_native {
        true => input.choose(&[200, 5_000, 40_000]),
        false => 1_000,
    };
    let padding = NonZeroU32::new(input.choose(&[0, 0, 64, 5_000]));
    let count = input.byte() % 8;
    let message = |tag: u8| vec![tag; input.below(longest + 1)];
    let messages: Vec<_> = (0..count).map(message).collect();
    let most = if is_native { 30_000 } else { 400 };
    let mut steps = Vec::new();
    while !input.is_over() && steps.len() < MAX_STEPS {
        steps.push((input.byte(), input.below(most)));
    }
    if is_native {
        let mut options = SealOptions::default();
        options.padding = padding;
        check_machines_on_native(
            Suite::ALL[usize::from(is_other)],
            &options,
            &messages,
            &steps,
        );
    } else {
        let version = if is_other {
            CupsVersion::V1
        } else {
            CupsVersion::V0
        };
        check_machines_on_commonware(version, &messages, &steps);
    }
}
