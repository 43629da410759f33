//! One attempt to establish a connection: drives the handshake over a socket, under a deadline.

use core::future::{Future, pending};
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::time::Duration;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use rand_core::UnwrapErr;

use super::address::Address;
use super::admission::{Admission, Applicant};
use super::connection_limit::ConnectionLimit;
use super::place::Place;
use super::progress::{Progress, Stage};
use crate::driver;
use crate::memory::{Buffer, Class};
use crate::net::config::Config;
use crate::net::connection::link::Link;
use crate::net::connection::records::{
    IncomingRecords, NativeIncoming, NativeOutgoing, OutgoingRecords,
};
use crate::net::connection::{About, Connection};
use crate::net::error::{AttemptError, Phase, RecvError};
use crate::net::thread::shard::Shard;
use crate::net::thread::time_limits;
use crate::protocol::Wire;
use crate::protocol::handshake::{Dialer, Listener, ListenerEvent, SakeVersion, Session};
use crate::protocol::identity::PublicKey;
use crate::protocol::native::handshake::ListenerSetup;
use crate::protocol::native::record::{AbortReason, RefuseReason};
use crate::protocol::native::{self, Exporter, Suite};
use crate::protocol::record::CupsVersion;

/// Longer than any handshake message, in bytes.
const READ_SIZE: usize = 1_280;
/// Bytes of the key that an answer of the native wire begins with.
const KEY_LEN: usize = 32;
/// How many bytes of an answer of another protocol an error shows.
const SHOWN: usize = 40;

/// Gives the handshake `attempt` until the deadline.
pub(crate) async fn within<T>(
    deadline: Duration,
    attempt: impl Future<Output = Result<T, AttemptError>>,
) -> Result<T, AttemptError> {
    time_limits::within(deadline, attempt)
        .await
        .unwrap_or(Err(AttemptError::Deadline {
            phase: Phase::Handshake,
        }))
}

/// Gives the handshake of a client the time that `config` says: in all, and for its first message.
pub(crate) async fn in_time<T>(
    config: &Config,
    progress: &Progress,
    attempt: impl Future<Output = Result<T, AttemptError>>,
) -> Result<T, AttemptError> {
    let attempt = pin!(within(config.deadline(), attempt));
    let silence = pin!(async {
        time_limits::within(config.first_message(), pending::<()>()).await;
        if progress.stage() >= Stage::Claimed {
            pending::<()>().await;
        }
    });
    match select(attempt, silence).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => Err(AttemptError::NoFirstMessage),
    }
}

/// Dials: proves our identity to `peer` and has it prove its own.
pub(crate) async fn dial(
    link: Rc<Link>,
    address: Address,
    peer: PublicKey,
    config: &Config,
) -> Result<Connection, AttemptError> {
    let who = Who { address, peer };
    match config.first_wire() {
        Wire::Commonware { sake, cups } => dial_commonware(link, who, config, (sake, cups)).await,
        Wire::Native { suite } => dial_native(link, who, config, suite).await,
    }
}

/// Whether `start` is the start of no answer: that begins with a key which looks like random bytes.
fn is_text(start: &[u8]) -> bool {
    let is_character = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    start
        .get(..KEY_LEN)
        .is_some_and(|start| start.iter().all(is_character))
}

/// What an end means before all of the answer has come: a listener writes it whole, or nothing.
fn ended_within_answer(error: AttemptError, received: &[u8]) -> AttemptError {
    match error {
        AttemptError::UnexpectedEnd if !received.is_empty() => other_protocol(received),
        error => error,
    }
}

/// The other end.
struct Who {
    address: Address,
    peer: PublicKey,
}

async fn dial_commonware(
    link: Rc<Link>,
    who: Who,
    config: &Config,
    (sake, cups): (SakeVersion, CupsVersion),
) -> Result<Connection, AttemptError> {
    let mut output = Vec::new();
    let mut dialer = Dialer::new(
        config.identity(),
        who.peer,
        &config.sake(sake),
        now_ms(),
        &mut UnwrapErr(getrandom::SysRng),
        &mut output,
    )?;
    write(&link, &mut output).await?;
    let mut reader = Reader::new(&link)?;
    let mut is_first = true;
    loop {
        let input = reader.read(&link, dialer.wanted()).await?;
        if core::mem::replace(&mut is_first, false) && !Dialer::can_begin_with(input[0]) {
            return Err(other_protocol(input));
        }
        let (consumed, session) = dialer.receive(input, &mut output)?;
        reader.expect_consumed(consumed);
        if let Some(session) = session {
            write(&link, &mut output).await?;
            return establish(link, who, config, commonware(session, sake, cups, config));
        }
    }
}

async fn dial_native(
    link: Rc<Link>,
    who: Who,
    config: &Config,
    suite: Suite,
) -> Result<Connection, AttemptError> {
    let mut output = Vec::new();
    let mut dialer = native::handshake::Dialer::new(
        config.identity(),
        who.peer,
        suite,
        &config.native(link.shard.pool.slot_size()),
        &mut UnwrapErr(getrandom::SysRng),
        &mut output,
    )?;
    write(&link, &mut output).await?;
    let mut reader = Reader::new(&link)?;
    loop {
        let input = reader.read(&link, dialer.wanted()).await;
        let input = input.map_err(|error| ended_within_answer(error, dialer.received()))?;
        if dialer.received().len() < KEY_LEN {
            let start = [dialer.received(), input].concat();
            if is_text(&start) {
                return Err(other_protocol(&start));
            }
        }
        let (consumed, session) = dialer.receive(input, &mut output)?;
        reader.expect_consumed(consumed);
        if let Some(session) = session {
            write(&link, &mut output).await?;
            let established = native(session);
            let idle = established.peer_idle;
            let connection = connect(Rc::clone(&link), who, config, established);
            let mut unaccepted = Unaccepted(Some(connection));
            if config.awaits_accept()
                && let Some(connection) = &mut unaccepted.0
            {
                connection.accepted().await?;
            }
            look_after(&link, config, idle)?;
            return Ok(unaccepted.0.take().expect("nobody else takes it"));
        }
    }
}

/// What all attempts of a listener have in common.
#[derive(Debug)]
pub(crate) struct Listening {
    config: Config,
    /// What the native wire computes once, if it is switched on.
    native: Option<Arc<ListenerSetup>>,
}

impl Listening {
    pub(crate) fn new(config: &Config, shard: &Shard) -> Self {
        let (has_native, _) = config.kinds();
        Self {
            config: config.clone(),
            native: has_native.then(|| config.native_setup(shard.pool.slot_size())),
        }
    }
}

/// Who asks for a connection, and what is asked about it.
pub(crate) struct Asking<'a> {
    pub(crate) address: Address,
    pub(crate) admission: &'a Admission,
    pub(crate) place: Option<&'a mut (dyn Place + 'static)>,
}

/// Listens: has the dialer prove an identity that is admitted, and notes in `progress` how far that
/// is.
pub(crate) async fn listen(
    link: Rc<Link>,
    asking: Asking<'_>,
    listening: &Listening,
    progress: &Progress,
) -> Result<Connection, AttemptError> {
    let mut client = Client {
        reader: Reader::new(&link)?,
        link,
        asking,
        listening,
        progress,
    };
    let (_, versions) = listening.config.kinds();
    match (&listening.native, versions) {
        (None, Some(versions)) => client.listen_commonware(versions, 0).await,
        (Some(setup), None) => client.listen_native(setup, 0).await,
        (Some(setup), Some(versions)) => {
            // Both can't be waited for with one length, so the byte that tells comes alone.
            let first = client.read(1).await?[0];
            if native::handshake::can_begin_with(first) {
                return client.listen_native(setup, 1).await;
            }
            client.listen_commonware(versions, 1).await
        }
        (None, None) => unreachable!("Config refuses to take no wire"),
    }
}

/// A client whose handshake is under way.
struct Client<'a> {
    reader: Reader,
    link: Rc<Link>,
    asking: Asking<'a>,
    listening: &'a Listening,
    progress: &'a Progress,
}

/// Why a client that has proved its key is not let in, for it and for us.
struct Denial {
    reason: RefuseReason,
    error: AttemptError,
}

impl Denial {
    fn no_room(peer: PublicKey, limit: ConnectionLimit) -> Self {
        Self {
            reason: limit.reason(),
            error: AttemptError::NoRoom { peer, limit },
        }
    }
}

impl Client<'_> {
    /// Waits for up to `wanted` bytes.
    async fn read(&mut self, wanted: usize) -> Result<&[u8], AttemptError> {
        let is_unused = self.reader.filled == 0;
        self.progress.wait(driver::now());
        let input = self.reader.read(&self.link, wanted).await;
        let input = input.map_err(|error| match error {
            AttemptError::UnexpectedEnd if is_unused => AttemptError::ClosedUnused,
            other => other,
        })?;
        self.progress.hear();
        Ok(input)
    }

    /// Returns the bytes that were read before the machine was there, `first` of them, or waits for
    /// others.
    async fn next(&mut self, first: &mut usize, wanted: usize) -> Result<&[u8], AttemptError> {
        if core::mem::take(first) > 0 {
            return Ok(self.reader.last());
        }
        self.read(wanted).await
    }

    async fn is_admitted(&self, key: PublicKey, wire: Wire) -> Result<bool, AttemptError> {
        let applicant = Applicant {
            key,
            address: self.asking.address.clone(),
            wire,
        };
        AssertUnwindSafe(self.asking.admission.admits(applicant))
            .catch_unwind()
            .await
            .map_err(|_| AttemptError::AdmissionPanicked)
    }

    /// Whether there may be room for a connection of `peer`, which is only claimed as yet.
    fn check_room(&self, peer: PublicKey) -> Result<(), Denial> {
        let place = self.asking.place.as_ref();
        let checked = place.map_or(Ok(()), |place| place.check(&peer));
        checked.map_err(|limit| Denial::no_room(peer, limit))
    }

    /// Takes the room for a connection of `peer`, which is proved, and may believe to be in.
    fn take_room(&mut self, peer: PublicKey, believes_to_be_in: bool) -> Result<(), Denial> {
        let place = self.asking.place.as_mut();
        let entered = place.map_or(Ok(()), |place| place.enter(&peer, believes_to_be_in));
        entered.map_err(|limit| Denial::no_room(peer, limit))
    }

    /// Lets `peer` in, which is proved, if it is admitted and there is room.
    fn let_in(
        &mut self,
        peer: PublicKey,
        is_admitted: Result<bool, AttemptError>,
    ) -> Result<(), Denial> {
        let not_admitted = |error| Denial {
            reason: RefuseReason::NOT_ADMITTED,
            error,
        };
        match is_admitted {
            Ok(true) => {}
            Ok(false) => return Err(not_admitted(AttemptError::NotAdmitted { peer })),
            Err(error) => return Err(not_admitted(error)),
        }
        self.take_room(peer, false)
    }

    async fn listen_commonware(
        mut self,
        (sake, cups): (SakeVersion, CupsVersion),
        mut first: usize,
    ) -> Result<Connection, AttemptError> {
        let mut output = Vec::new();
        let identity = Arc::clone(self.listening.config.identity());
        let mut listener = Listener::new(identity, &self.listening.config.sake(sake));
        loop {
            let input = self.next(&mut first, listener.wanted()).await?;
            let (consumed, event) = listener.receive(
                input,
                now_ms(),
                &mut UnwrapErr(getrandom::SysRng),
                &mut output,
            )?;
            self.reader.expect_consumed(consumed);
            match event {
                ListenerEvent::NeedMore => {}
                ListenerEvent::Admit(key) => {
                    self.progress.reach(Stage::Claimed);
                    let wire = Wire::Commonware { sake, cups };
                    let admitted = self.is_admitted(key, wire).await?;
                    listener.admit(admitted)?;
                    self.check_room(key).map_err(|denial| denial.error)?;
                }
                ListenerEvent::Done(peer, session) => {
                    if let Err(denial) = self.take_room(peer, true) {
                        // The dialer has a connection, and must not take this for its end.
                        self.link.reset();
                        return Err(denial.error);
                    }
                    let established = commonware(session, sake, cups, &self.listening.config);
                    let who = Who {
                        address: self.asking.address,
                        peer,
                    };
                    return establish(self.link, who, &self.listening.config, established);
                }
            }
            if !output.is_empty() {
                // The answer is only given to a key that was proved.
                self.progress.reach(Stage::Proven);
                write(&self.link, &mut output).await?;
            }
        }
    }

    async fn listen_native(
        mut self,
        setup: &Arc<ListenerSetup>,
        mut first: usize,
    ) -> Result<Connection, AttemptError> {
        let mut output = Vec::new();
        let mut listener = native::handshake::Listener::new(setup);
        loop {
            let input = self.next(&mut first, listener.wanted()).await?;
            let (consumed, event) =
                listener.receive(input, &mut UnwrapErr(getrandom::SysRng), &mut output)?;
            self.reader.expect_consumed(consumed);
            match event {
                native::handshake::ListenerEvent::NeedMore => {}
                native::handshake::ListenerEvent::Admit { peer, suite } => {
                    self.progress.reach(Stage::Claimed);
                    let undecided = Undecided {
                        listener: Some(listener),
                        link: &self.link,
                        progress: self.progress,
                    };
                    let is_admitted = self.is_admitted(peer, Wire::Native { suite }).await;
                    listener = undecided.decide();
                    self.progress.reach(Stage::Proven);
                    if let Err(denial) = self.let_in(peer, is_admitted) {
                        listener.refuse(denial.reason, &mut output)?;
                        write(&self.link, &mut output).await?;
                        // Closed at once, the refusal might be lost on its way.
                        self.link.linger_if_few();
                        return Err(denial.error);
                    }
                    let session = listener.admit(&mut output)?;
                    write(&self.link, &mut output).await?;
                    let who = Who {
                        address: self.asking.address,
                        peer,
                    };
                    return establish(self.link, who, &self.listening.config, native(session));
                }
            }
            if !output.is_empty() {
                // The hello was for us: its sender knows our key and the namespace.
                self.progress.reach(Stage::Claimed);
                write(&self.link, &mut output).await?;
            }
        }
    }
}

/// A client of the native wire that waits to be admitted. When its attempt ends before that, it is
/// told why.
struct Undecided<'a> {
    listener: Option<native::handshake::Listener>,
    link: &'a Rc<Link>,
    progress: &'a Progress,
}

impl Undecided<'_> {
    fn decide(mut self) -> native::handshake::Listener {
        self.listener.take().expect("it is decided once")
    }
}

impl Drop for Undecided<'_> {
    fn drop(&mut self) {
        let Some(mut listener) = self.listener.take() else {
            return;
        };
        let reason = match self.progress.is_listener_ending() {
            true => RefuseReason::SHUTTING_DOWN,
            false => RefuseReason::TOO_BUSY,
        };
        let mut output = Vec::new();
        if listener.refuse(reason, &mut output).is_ok() {
            // Nothing else is in flight, so the socket's buffer has room.
            if let Some(socket) = self.link.socket() {
                socket.write_at_once(&output);
            }
            self.link.linger_if_few();
        }
    }
}

/// A dialed connection that the listener is yet to accept. Dropped before that, it is given up: what
/// the listener then accepts must not look like a connection that has ended in order.
struct Unaccepted(Option<Connection>);

impl Drop for Unaccepted {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            let (sender, _receiver) = connection.split();
            sender.abort(AbortReason::UNSPECIFIED);
        }
    }
}

/// What a finished handshake leaves.
struct Established {
    wire: Wire,
    outgoing: OutgoingRecords,
    incoming: IncomingRecords,
    exporter: Option<Exporter>,
    /// After how long without a byte the peer gives up.
    peer_idle: Option<Duration>,
}

fn commonware(
    session: Session,
    sake: SakeVersion,
    cups: CupsVersion,
    config: &Config,
) -> Established {
    let (sealer, opener) = session
        .records(cups, config.message_limit())
        .expect("Config refuses a limit beyond the wire's");
    Established {
        wire: Wire::Commonware { sake, cups },
        outgoing: OutgoingRecords::Commonware(sealer),
        incoming: IncomingRecords::Commonware(opener),
        exporter: None,
        peer_idle: None,
    }
}

fn native(session: native::handshake::Session) -> Established {
    let wire = Wire::Native {
        suite: session.suite(),
    };
    let peer_idle = session.peer_settings().idle_time();
    let (sealer, opener, exporter) = session.split();
    Established {
        wire,
        outgoing: OutgoingRecords::Native(Box::new(NativeOutgoing::new(sealer))),
        incoming: IncomingRecords::Native(Box::new(NativeIncoming::new(opener))),
        exporter: Some(exporter),
        peer_idle,
    }
}

fn establish(
    link: Rc<Link>,
    who: Who,
    config: &Config,
    established: Established,
) -> Result<Connection, AttemptError> {
    look_after(&link, config, established.peer_idle)?;
    Ok(connect(link, who, config, established))
}

/// Has the limits kept that a connection has once it is there.
fn look_after(
    link: &Rc<Link>,
    config: &Config,
    peer_idle: Option<Duration>,
) -> Result<(), AttemptError> {
    link.tracker.tell_alive(peer_idle);
    time_limits::watch(&link.shard.watched, link, config.time_limits());
    if let Some(settings) = config.keep_alive() {
        link.keep_alive(settings).map_err(AttemptError::Transport)?;
    }
    Ok(())
}

fn connect(link: Rc<Link>, who: Who, config: &Config, established: Established) -> Connection {
    let span = tracing::info_span!(
        target: "ringseal::connection",
        parent: None,
        "connection",
        peer = %who.peer.short(),
        address = %who.address,
        wire = %established.wire,
    );
    let about = About {
        span,
        peer: who.peer,
        address: who.address,
        wire: established.wire,
        exporter: established.exporter,
    };
    let (outgoing, incoming) = (established.outgoing, established.incoming);
    let message_limit = usize::try_from(config.message_limit()).unwrap_or(usize::MAX);
    Connection::new(link, about, outgoing, incoming, message_limit)
}

/// Says that an answer which begins with `input` is one of another protocol.
fn other_protocol(input: &[u8]) -> AttemptError {
    let start = first_line(input);
    AttemptError::OtherProtocol { start }
}

/// Returns what somebody needs to see of `input` to know another protocol by it.
fn first_line(input: &[u8]) -> String {
    let mut lines = input.split(|byte| matches!(byte, b'\r' | b'\n'));
    let line = lines.find(|line| !line.is_empty()).unwrap_or(input);
    line[..line.len().min(SHOWN)].escape_ascii().to_string()
}

/// What it means that the answer about admission did not come.
impl From<RecvError> for AttemptError {
    fn from(error: RecvError) -> Self {
        use native::record::OpenError;

        match error {
            RecvError::Refused { reason } => Self::Refused { reason },
            RecvError::NativeRecord(OpenError::Truncated) => Self::UnexpectedEnd,
            RecvError::Transport(error) => broken(error),
            RecvError::NativeRecord(error) => Self::Answer(error),
            other => Self::Transport(io::Error::other(other)),
        }
    }
}

/// What a socket's failure means here. A peer that refuses while bytes of ours are unread resets.
fn broken(error: io::Error) -> AttemptError {
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => AttemptError::UnexpectedEnd,
        _ => AttemptError::Transport(error),
    }
}

async fn write(link: &Link, output: &mut Vec<u8>) -> Result<(), AttemptError> {
    if output.is_empty() {
        return Ok(());
    }
    let grant = (link.shard.pool)
        .account(Class::Send)
        .take_short(output.len());
    let mut buffer = Buffer::heap(grant).map_err(AttemptError::Transport)?;
    buffer.copy_from_slice(output);
    let length = output.len();
    output.clear();
    link.write_all(buffer, length).await.map_err(broken)
}

/// Reads never more than the current handshake message, so that what follows stays in the socket
/// for the record layer.
struct Reader {
    buffer: Option<Buffer>,
    filled: usize,
}

impl Reader {
    fn new(link: &Link) -> Result<Self, AttemptError> {
        let grant = (link.shard.pool)
            .account(Class::Receive)
            .take_short(READ_SIZE);
        let buffer = Buffer::heap(grant).map_err(AttemptError::Transport)?;
        Ok(Self {
            buffer: Some(buffer),
            filled: 0,
        })
    }

    async fn read(&mut self, link: &Link, wanted: usize) -> Result<&[u8], AttemptError> {
        let buffer = self.buffer.take().expect("a buffer between reads");
        let (count, buffer) = link
            .read(buffer, wanted.clamp(1, READ_SIZE))
            .await
            .map_err(broken)?;
        if count == 0 {
            return Err(AttemptError::UnexpectedEnd);
        }
        self.filled = count;
        Ok(&self.buffer.insert(buffer)[..count])
    }

    /// Returns what the last read has brought.
    fn last(&self) -> &[u8] {
        let bytes = self.buffer.as_deref().unwrap_or_default();
        bytes.get(..self.filled).unwrap_or_default()
    }

    /// A surplus would be lost to the record layer; `wanted` sees to it that there is none.
    fn expect_consumed(&self, consumed: usize) {
        assert_eq!(
            consumed, self.filled,
            "a handshake read ends with its message"
        );
    }
}

/// Our clock, in milliseconds since the Unix epoch. Before it, zero.
fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
        })
}
