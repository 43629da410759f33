//! What happens next at one of the two ends.

/// One call, or what belongs together of several. Each comes with a number, by which it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next message is appended, or all are out and the direction is closed.
    Send,
    /// The same for who plans nothing before it is known to be needed.
    SendAtOnce,
    /// The next part of the message is appended.
    SendPart,
    /// The rest of a message in parts does not come.
    GiveMessageUp,
    /// A reservation takes the buffer that fills, if none has it.
    Reserve,
    /// It is sent.
    SendReserved,
    /// It is put back.
    PutBack,
    /// The writer has its turn, or the kernel is done.
    Write,
    /// The wire is asked to say something that is no message.
    Say,
    /// A receiver that takes whole messages has its turn, or the kernel is done.
    Read,
    /// One that takes messages in parts has.
    ReadParts,
    /// Whoever took a message in parts is gone.
    SkipRest,
    /// What is not opened yet leaves the slot if slots are short.
    LeaveSlot,
    /// Whoever has messages that were given out drops them.
    Release,
    /// No more messages come.
    Close,
    /// The direction is given up in the wire's way.
    GiveUp,
    /// Something could not be sealed.
    Abort,
    /// The socket takes nothing more.
    FailSending,
    /// Nothing more is received.
    FailReceiving,
}

/// Those after which both go on.
const COMMON: [Step; 14] = [
    Step::Send,
    Step::SendAtOnce,
    Step::SendPart,
    Step::GiveMessageUp,
    Step::Reserve,
    Step::SendReserved,
    Step::PutBack,
    Step::Write,
    Step::Say,
    Step::Read,
    Step::ReadParts,
    Step::SkipRest,
    Step::LeaveSlot,
    Step::Release,
];
/// Those that are the end of something.
const LAST: [Step; 5] = [
    Step::Close,
    Step::GiveUp,
    Step::Abort,
    Step::FailSending,
    Step::FailReceiving,
];
/// Out of so many numbers one is among the last.
const RARE: u8 = 250;

impl Step {
    /// Returns the one that a number of choice stands for: most of them for one after which both go on.
    pub(super) const fn from_number(number: u8) -> Self {
        if number >= RARE {
            return LAST[(number - RARE) as usize % LAST.len()];
        }
        COMMON[number as usize % COMMON.len()]
    }

    /// Returns one after the other, so that everything gets its turn.
    pub(super) fn all_in_turn() -> impl Iterator<Item = Self> {
        let turn = [
            Self::Send,
            Self::PutBack,
            Self::Write,
            Self::Read,
            Self::Release,
        ];
        turn.into_iter().cycle()
    }
}
