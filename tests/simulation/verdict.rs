//! Whether the ends of a connection are what they may be after what has happened to it.

use std::io;

use ringseal::protocol::layout::End;
use ringseal::protocol::native::record::{AbortReason, OpenError as NativeError};
use ringseal::{OpenError, RecvError, SendError};

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
            self.check_count(which, ledger);
            self.check_sender(which);
        }
    }

    /// Whether something else than its users may have ended the connection.
    fn is_disturbed(&self) -> bool {
        self.happened.iter().any(|happened| happened.is_damaged) || self.may_be_quiet()
    }

    /// Whether a peer may have waited for longer than its limits, on a wire that is not cut.
    fn may_be_quiet(&self) -> bool {
        match self.pair.fault {
            Fault::Deaf(..) => true,
            Fault::Stall(_, _, duration) => self.pair.may_end_in(duration),
            _ => false,
        }
    }

    fn has_cut(&self, cut: Cut) -> bool {
        let is_it = |happened: &Happened| happened.cut == Some(cut);
        self.happened.iter().any(is_it)
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

    /// Whether the receiver of a direction may fail with `error`: each disturbance has its own, in the
    /// direction that it is of, and its consequences in the other.
    fn may_fail(&self, which: usize, error: &RecvError) -> bool {
        let own = self.abort_of(1 - which);
        let peers = self.abort_of(which);
        let (incoming, outgoing) = (self.happened[which], self.happened[1 - which]);
        match error {
            RecvError::Closed => own.is_some(),
            RecvError::Aborted { reason } if peers == Some(reason.0) => self.pair.wire.is_native(),
            RecvError::Aborted { reason } => outgoing.is_flip_read && is_protocol(*reason),
            RecvError::TimedOut { .. } => self.may_time_out(),
            RecvError::Transport(error) => self.may_break(error),
            RecvError::NativeRecord(NativeError::Truncated)
            | RecvError::Record(OpenError::Truncated) => self.may_end(which),
            RecvError::NativeRecord(error) => incoming.is_flip_read && is_forgery(*error),
            RecvError::Record(_) => incoming.is_flip_read,
            _ => false,
        }
    }

    /// Whether a limit may have fired: where nothing comes, and nobody says so.
    fn may_time_out(&self) -> bool {
        // A changed length has its reader wait for what was never sent.
        let is_flip_read = self.happened.iter().any(|happened| happened.is_flip_read);
        self.has_cut(Cut::Silence) || self.may_be_quiet() || is_flip_read
    }

    /// Whether an end may be told this of its socket. A wire whose other end is gone breaks where it is
    /// written to, and only one that is reset says so.
    fn may_break(&self, error: &io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::ConnectionReset => self.has_cut(Cut::Reset),
            io::ErrorKind::BrokenPipe => self.is_disturbed(),
            _ => false,
        }
    }

    /// Whether the sender of a direction is told what its end's receiver has found.
    fn is_told_why(&self, which: usize, error: &io::Error) -> bool {
        let (_, own_receiver) = &self.ends[1 - which];
        error.kind() == io::ErrorKind::ConnectionAborted
            && matches!(own_receiver, ReceiverEnd::Failed(_))
    }

    /// Whether a direction may end without its sender's saying so: it is cut, or what has happened has
    /// ended the sender's end before.
    fn may_end(&self, which: usize) -> bool {
        match self.happened[which].cut {
            Some(Cut::End) => true,
            Some(Cut::Reset | Cut::Silence) => false,
            None => self.is_disturbed(),
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

    /// Nobody gets what was not sent, as far as the sender could still be asked.
    fn check_count(&self, which: usize, ledger: &Ledger) {
        if !matches!(self.ends[which].0, SenderEnd::Failed(_)) {
            ledger.none_beyond();
        }
    }

    fn check_sender(&self, which: usize) {
        let (sender, receiver) = &self.ends[which];
        let SenderEnd::Failed(error) = sender else {
            return;
        };
        let may_be = match error {
            SendError::TimedOut { .. } => self.may_time_out(),
            SendError::Transport(error) if self.is_disturbed() => {
                self.may_break(error) || self.is_told_why(which, error)
            }
            SendError::Transport(_) | SendError::Closed => true,
            _ => false,
        };
        assert!(
            may_be,
            "direction {which}: the sender must not fail with {error:?}: {:?}",
            self.happened
        );
        let is_heard = matches!(receiver, ReceiverEnd::Ended(_));
        assert!(
            self.is_disturbed() || self.pair.aborts() || !is_heard,
            "direction {which}: the sender must not fail with {error:?}: {:?}",
            self.happened
        );
    }
}

/// What the peer is told when what it sent does not hold.
fn is_protocol(reason: AbortReason) -> bool {
    [AbortReason::PROTOCOL, AbortReason::TOO_LARGE].contains(&reason)
}

/// What a changed byte of the native wire is noticed by: its tag, or a header that no peer writes.
const fn is_forgery(error: NativeError) -> bool {
    matches!(
        error,
        NativeError::Tag | NativeError::RecordLength { .. } | NativeError::UnknownKind { .. }
    )
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
