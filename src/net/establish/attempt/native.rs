//! The handshake of the native wire, over a socket.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use rand_core::UnwrapErr;

use super::client::Client;
use super::established::{Established, Who, connect, establish, look_after};
use super::handshake_io::{Reader, broken, write};
use super::other_protocol::other_protocol;
use crate::net::config::Config;
use crate::net::connection::Connection;
use crate::net::connection::dump;
use crate::net::connection::link::Link;
use crate::net::connection::records::{
    IncomingRecords, NativeIncoming, NativeOutgoing, OutgoingRecords,
};
use crate::net::error::{AttemptError, RecvError};
use crate::net::establish::progress::{Progress, Stage};
use crate::protocol::Wire;
use crate::protocol::identity::PublicKey;
use crate::protocol::native::Suite;
use crate::protocol::native::handshake::{Dialer, Listener, ListenerEvent, ListenerSetup, Session};
use crate::protocol::native::record::OpenError;
use crate::protocol::{AbortReason, RefuseReason};

/// Bytes of the key that an answer begins with.
const KEY_LEN: usize = 32;

/// Dials, with all of the connection sealed by `suite`.
pub(super) async fn dial(
    link: Rc<Link>,
    who: Who,
    config: &Config,
    suite: Suite,
) -> Result<Connection, AttemptError> {
    let mut output = Vec::new();
    let mut dialer = Dialer::new(
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
            let established = established(session, config);
            let alive_within = established.alive_within;
            let connection = connect(Rc::clone(&link), who, config, established);
            let mut unaccepted = Unaccepted(Some(connection));
            if config.awaits_accept()
                && let Some(connection) = &mut unaccepted.0
            {
                connection.accepted().await?;
            }
            look_after(&link, config, alive_within)?;
            return Ok(unaccepted.0.take().expect("nobody else takes it"));
        }
    }
}

/// Listens. `first` bytes of the hello were read before.
pub(super) async fn listen(
    mut client: Client<'_>,
    setup: &Arc<ListenerSetup>,
    mut first: usize,
) -> Result<Connection, AttemptError> {
    let mut output = Vec::new();
    let mut listener = Listener::new(setup);
    loop {
        let input = client.next(&mut first, listener.wanted()).await?;
        let (consumed, event) =
            listener.receive(input, &mut UnwrapErr(getrandom::SysRng), &mut output)?;
        client.reader.expect_consumed(consumed);
        match event {
            ListenerEvent::NeedMore => {}
            ListenerEvent::Admit { peer, suite } => {
                client.progress.reach(Stage::Claimed);
                let undecided = Undecided {
                    listener: Some(listener),
                    peer,
                    link: &client.link,
                    progress: client.progress,
                };
                let is_admitted = client.is_admitted(peer, Wire::Native { suite }).await;
                listener = undecided.decide();
                client.progress.reach(Stage::Proven);
                if let Err(denial) = client.let_in(peer, is_admitted) {
                    listener.refuse(denial.reason, &mut output)?;
                    tell_decision(&peer, &output);
                    write(&client.link, &mut output).await?;
                    // Closed at once, the refusal might be lost on its way.
                    client.link.linger_if_few();
                    return Err(denial.error);
                }
                let session = listener.admit(&mut output)?;
                tell_decision(&peer, &output);
                write(&client.link, &mut output).await?;
                let who = Who {
                    address: client.asking.address,
                    peer,
                };
                let config = &client.listening.config;
                return establish(client.link, who, config, established(session, config));
            }
        }
        if !output.is_empty() {
            // The hello was for us: its sender knows our key and the namespace.
            client.progress.reach(Stage::Claimed);
            write(&client.link, &mut output).await?;
        }
    }
}

/// A client of the native wire that waits to be admitted. When its attempt ends before that, it is
/// told why.
struct Undecided<'a> {
    listener: Option<Listener>,
    peer: PublicKey,
    link: &'a Rc<Link>,
    progress: &'a Progress,
}

impl Undecided<'_> {
    fn decide(mut self) -> Listener {
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
                tell_decision(&self.peer, &output);
                socket.write_at_once(&output);
            }
            self.link.linger_if_few();
        }
    }
}

/// Tells of the listener's first record, if anybody wants to know.
fn tell_decision(peer: &PublicKey, record: &[u8]) {
    if dump::is_wanted() {
        dump::decided(peer, record);
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

fn established(session: Session, config: &Config) -> Established {
    let wire = Wire::Native {
        suite: session.suite(),
    };
    let times = [
        session.peer_settings().idle_time(),
        config.keep_alive_within(),
    ];
    let (sealer, opener, exporter) = session.split();
    Established {
        wire,
        outgoing: OutgoingRecords::Native(Box::new(NativeOutgoing::new(sealer))),
        incoming: IncomingRecords::Native(Box::new(NativeIncoming::new(opener))),
        exporter: Some(exporter),
        alive_within: times.into_iter().flatten().min(),
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

/// What it means that the answer about admission did not come.
impl From<RecvError> for AttemptError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Refused { reason } => Self::Refused { reason },
            RecvError::NativeRecord(OpenError::Truncated) => Self::UnexpectedEnd,
            RecvError::Transport(error) => broken(error),
            RecvError::NativeRecord(error) => Self::Answer(error),
            other => Self::Transport(io::Error::other(other)),
        }
    }
}
