//! The machines against a model: whatever is sent in whatever order of calls and events, the same
//! messages come out in the same order, and behind them the end that was said, or none.

mod sink;
mod source;
mod step;
mod wires;

use core::fmt;
use std::collections::VecDeque;

use self::sink::{Outcome, Sink};
use self::source::{Fate, Source};
use self::step::Step;
use self::wires::{Means, Wire};
use super::records::{IncomingRecords, NativeIncoming, NativeOutgoing, OutgoingRecords};
use crate::protocol::layout::{End, Incoming};
use crate::protocol::native::record as native;
use crate::protocol::record::{Opener, Sealer};

/// How often everything has its turn in the end.
const TURNS: usize = 50_000;

/// Sends `messages` by one machine and receives them by the others. In each of `steps` one end moves, as
/// the first number [says](Step::from_number), and in the way that the second one chooses.
///
/// # Panics
///
/// If anything comes out that was not sent, anything that was written does not, or the end is another.
fn check<O: Wire, I: Incoming>(
    (outgoing, incoming): (O, I),
    buffer: usize,
    messages: &[Vec<u8>],
    steps: &[(u8, usize)],
) where
    O::Error: fmt::Debug,
    I::Error: fmt::Debug,
    I::Event: Means,
{
    let mut source = Source::new(outgoing, buffer, messages.to_vec());
    let mut sink = Sink::new(incoming, buffer / 2);
    let mut network = VecDeque::new();
    let mut checked = 0;
    let steps = steps
        .iter()
        .map(|(number, count)| (Step::from_number(*number), *count));
    // An odd number, with which nobody stays undecided.
    let rest = Step::all_in_turn().zip((0..TURNS).map(|turn| buffer * 6 + turn * 2 + 1));
    for (step, count) in steps.chain(rest) {
        source.turn(step, count, &mut network);
        sink.turn(step, count, &mut network, source.is_over());
        let (sent, received) = (source.sent(), sink.received());
        assert!(sent.len() >= received.len(), "more messages");
        for (sent, received) in sent.iter().zip(received).skip(checked) {
            assert!(received.is_of(sent), "another message");
        }
        checked = received.len();
        if let Some(outcome) = sink.outcome()
            && source.is_over()
        {
            return judge(&source, outcome, received.len());
        }
    }
    panic!("it came to a halt");
}

/// Checks that what has come out, and its end, are what they must be.
fn judge<O: Wire>(source: &Source<O>, outcome: Outcome, received: usize)
where
    O::Error: fmt::Debug,
{
    let is_complete = received == source.sent().len();
    let is_right = match (source.fate(), outcome) {
        (_, Outcome::Left) => true,
        (Fate::Closed, Outcome::Ended(_)) => is_complete,
        // No end.
        (Fate::GivenUp, Outcome::Aborted | Outcome::Ended(End::Unauthenticated)) => is_complete,
        // The end had left before.
        (Fate::Aborted | Fate::Failed, Outcome::Ended(End::Authenticated) | Outcome::Aborted) => {
            is_complete
        }
        (Fate::Aborted | Fate::Failed, Outcome::Ended(End::Unauthenticated) | Outcome::Cut) => {
            received >= source.written()
        }
        _ => false,
    };
    assert!(
        is_right,
        "{received} of {} messages, {} written, {:?} and {outcome:?}",
        source.sent().len(),
        source.written(),
        source.fate()
    );
}

/// Does it with CUPS.
pub(crate) fn check_commonware(
    (sealer, opener): (Sealer, Opener),
    messages: &[Vec<u8>],
    steps: &[(u8, usize)],
) {
    let records = (
        OutgoingRecords::Commonware(sealer),
        IncomingRecords::Commonware(opener),
    );
    check(records, 300, messages, steps);
}

/// Does it with the native wire, which has things of its own to say.
pub(crate) fn check_native(
    (sealer, opener): (native::Sealer, native::Opener),
    messages: &[Vec<u8>],
    steps: &[(u8, usize)],
) {
    let records = (
        OutgoingRecords::Native(Box::new(NativeOutgoing::new(sealer))),
        IncomingRecords::Native(Box::new(NativeIncoming::new(opener))),
    );
    check(records, 20_000, messages, steps);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::native::Suite;
    use crate::protocol::one_tag::OneTag;
    use crate::protocol::record::{CupsVersion, pair};

    /// Messages of these lengths, each of its own byte.
    fn messages(lengths: &[usize]) -> Vec<Vec<u8>> {
        let message = |(index, length): (usize, &usize)| vec![index.to_le_bytes()[0]; *length];
        lengths.iter().enumerate().map(message).collect()
    }

    proptest! {
        #[test]
        fn what_is_sent_comes_out(
            lengths in prop::collection::vec(0..200_usize, 0..30),
            steps in prop::collection::vec((any::<u8>(), 0..400_usize), 0..300),
        ) {
            let messages = messages(&lengths);
            check((OneTag::new(), OneTag::new()), 300, &messages, &steps);
            for version in [CupsVersion::V0, CupsVersion::V1] {
                check_commonware(pair(version, 1000), &messages, &steps);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        // Long messages take several records there.
        #[test]
        fn what_is_sent_on_the_native_wire_comes_out(
            lengths in prop::collection::vec(
                prop_oneof![0..200_usize, 4000..4200_usize, 10_000..60_000_usize],
                0..12,
            ),
            steps in prop::collection::vec((any::<u8>(), 0..30_000_usize), 0..200),
        ) {
            for suite in Suite::ALL {
                check_native(native::pair(suite), &messages(&lengths), &steps);
            }
        }
    }
}
