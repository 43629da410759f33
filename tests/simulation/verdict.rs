//! Whether the ends of a connection are what they may be after what has happened to it.

use ringseal::RecvError;
use ringseal::protocol::layout::End;
use ringseal::protocol::native::record::OpenError as NativeError;

use crate::channel::{Channel, Cut};
use crate::model::Ledger;
use crate::receiving::ReceiverEnd;
use crate::scenario::{Direction, Ending, Fault, Pair};
use crate::sending::SenderEnd;

/// What has happened to a direction of a wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happened {
    pub(crate) cut: Option<Cut>,
    /// Whether a byte that was changed was read.
    pub(crate) is_flip_read: bool,
    pub(crate) is_damaged: bool,
}

impl Happened {
    pub(crate) fn to(channel: &Channel) -> Self {
        Self {
            cut: channel.cut(),
            is_flip_read: channel.has_delivered_flip(),
            is_damaged: channel.is_damaged(),
        }
    }
}

/// How a connection has ended.
pub(crate) struct Verdict<'a> {
    pub(crate) pair: &'a Pair,
    pub(crate) happened: [Happened; 2],
    pub(crate) ends: [(SenderEnd, ReceiverEnd); 2],
}

impl Verdict<'_> {
    /// Checks both directions; `ledgers` are theirs.
    pub(crate) fn check(&self, ledgers: [&Ledger; 2]) {
        for (which, ledger) in ledgers.into_iter().enumerate() {
            self.check_receiver(which, ledger);
            self.check_sender(which);
        }
    }

    /// Whether something else than its users may have ended the connection.
    fn is_disturbed(&self) -> bool {
        let is_damaged = self.happened.iter().any(|happened| happened.is_damaged);
        is_damaged || matches!(self.pair.fault, Fault::Deaf(..))
    }

    fn check_receiver(&self, which: usize, ledger: &Ledger) {
        let (_, receiver) = &self.ends[which];
        match receiver {
            ReceiverEnd::Ended(end) => self.check_end(which, *end, ledger),
            ReceiverEnd::Left => {
                let leaves = self.pair.directions[which].leaves_after.is_some();
                let is_deaf = matches!(self.pair.fault, Fault::Deaf(deaf, _) if deaf == which);
                assert!(leaves || is_deaf, "nobody told the receiver to leave");
            }
            ReceiverEnd::Failed(error) => assert!(
                self.may_fail(which, error),
                "direction {which}: the receiver must not fail with {error:?}: {:?}",
                self.happened
            ),
        }
    }

    /// Everything came, unless the wire can't tell an end from a cut.
    fn check_end(&self, which: usize, end: End, ledger: &Ledger) {
        let is_native = self.pair.wire.is_native();
        assert_eq!(end == End::Authenticated, is_native, "{end:?}");
        assert!(
            !self.happened[which].is_flip_read,
            "direction {which}: a byte was changed, and nobody has noticed"
        );
        if is_native || !self.is_disturbed() {
            ledger.complete();
        }
    }

    fn may_fail(&self, which: usize, error: &RecvError) -> bool {
        let own = self.abort_of(1 - which);
        let peers = self.abort_of(which);
        match error {
            RecvError::Closed if own.is_some() => true,
            RecvError::Aborted { reason } if peers == Some(reason.0) => self.pair.wire.is_native(),
            _ if self.happened.iter().any(|happened| happened.is_flip_read) => true,
            _ if !self.is_disturbed() => false,
            RecvError::Transport(_) | RecvError::TimedOut { .. } => true,
            RecvError::NativeRecord(NativeError::Truncated) => true,
            RecvError::Record(error) => is_truncation(*error),
            _ => false,
        }
    }

    /// Returns the reason that the sender of a direction gives the connection up with.
    fn abort_of(&self, which: usize) -> Option<u16> {
        match self.pair.directions[which] {
            Direction {
                ending: Ending::Abort(reason),
                ..
            } => Some(reason),
            _ => None,
        }
    }

    fn check_sender(&self, which: usize) {
        let (sender, receiver) = &self.ends[which];
        let SenderEnd::Failed(error) = sender else {
            return;
        };
        let is_heard = matches!(receiver, ReceiverEnd::Ended(_));
        assert!(
            self.is_disturbed() || self.pair.aborts() || !is_heard,
            "direction {which}: the sender must not fail with {error:?}: {:?}",
            self.happened
        );
    }
}

fn is_truncation(error: ringseal::OpenError) -> bool {
    matches!(error, ringseal::OpenError::Truncated)
}

/// Bytes of a repetition that no chance explains: more than a record's header, less than a whole
/// record of one byte.
const REPEATED: usize = 20;

/// Checks that nothing in `written` is there twice: what is sealed with other nonces is not alike.
pub(crate) fn check_unlike(written: &[u8]) {
    let mut seen = std::collections::HashSet::new();
    for window in written.windows(REPEATED) {
        assert!(
            seen.insert(window),
            "{REPEATED} bytes are on the wire twice, so a nonce was used again"
        );
    }
}
