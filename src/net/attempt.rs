//! One attempt to establish a connection: drives the handshake over a socket, under a deadline.

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use rand_core::UnwrapErr;

use super::address::Address;
use super::admission::Admission;
use super::config::Config;
use super::connection::Connection;
use super::error::AttemptError;
use super::link::Link;
use super::time_limits;
use crate::memory::Buffer;
use crate::protocol::handshake::{Dialer, Listener, ListenerEvent, Session};
use crate::protocol::identity::PublicKey;
use crate::ring;

/// Longer than any handshake message, in bytes.
const READ_SIZE: usize = 256;

/// Gives `attempt` until the deadline.
pub(crate) async fn within<T>(
    deadline: Duration,
    attempt: impl Future<Output = Result<T, AttemptError>>,
) -> Result<T, AttemptError> {
    ring::timeout(deadline, attempt)
        .await
        .unwrap_or(Err(AttemptError::Deadline))
}

/// Dials: proves our identity to `peer` and has it prove its own.
pub(crate) async fn dial(
    link: Rc<Link>,
    address: Address,
    peer: PublicKey,
    config: &Config,
) -> Result<Connection, AttemptError> {
    let mut output = Vec::new();
    let mut dialer = Dialer::new(
        config.identity(),
        peer,
        config.parameters(),
        now_ms(),
        &mut UnwrapErr(getrandom::SysRng),
        &mut output,
    )?;
    write(&link, &mut output).await?;
    let mut reader = Reader::new()?;
    loop {
        let input = reader.read(&link, dialer.wanted()).await?;
        let (consumed, session) = dialer.receive(input, &mut output)?;
        reader.expect_consumed(consumed);
        if let Some(session) = session {
            write(&link, &mut output).await?;
            return establish(link, address, peer, session, config);
        }
    }
}

/// Listens: has the dialer prove an identity that `admission` admits.
pub(crate) async fn listen(
    link: Rc<Link>,
    address: Address,
    config: &Config,
    admission: &Admission,
) -> Result<Connection, AttemptError> {
    let mut output = Vec::new();
    let mut listener = Listener::new(Arc::clone(config.identity()), config.parameters());
    let mut reader = Reader::new()?;
    loop {
        let is_unused = reader.filled == 0;
        let input = reader
            .read(&link, listener.wanted())
            .await
            .map_err(|error| match error {
                AttemptError::UnexpectedEnd if is_unused => AttemptError::ClosedUnused,
                other => other,
            })?;
        let (consumed, event) = listener.receive(
            input,
            now_ms(),
            &mut UnwrapErr(getrandom::SysRng),
            &mut output,
        )?;
        reader.expect_consumed(consumed);
        match event {
            ListenerEvent::NeedMore => {}
            ListenerEvent::Admit(key) => {
                let admitted = AssertUnwindSafe(admission.admits(key))
                    .catch_unwind()
                    .await
                    .map_err(|_| AttemptError::AdmissionPanicked)?;
                listener.admit(admitted)?;
            }
            ListenerEvent::Done(peer, session) => {
                return establish(link, address, peer, session, config);
            }
        }
        write(&link, &mut output).await?;
    }
}

fn establish(
    link: Rc<Link>,
    address: Address,
    peer: PublicKey,
    session: Session,
    config: &Config,
) -> Result<Connection, AttemptError> {
    let (cups, limit) = config.records();
    let (sealer, opener) = session
        .records(cups, limit)
        .expect("Config refuses a limit beyond the wire's");
    time_limits::watch(&link, config.time_limits());
    Ok(Connection::new(link, address, peer, sealer, opener))
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
    let mut buffer = Buffer::heap(output.len()).map_err(AttemptError::Transport)?;
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
    fn new() -> Result<Self, AttemptError> {
        let buffer = Buffer::heap(READ_SIZE).map_err(AttemptError::Transport)?;
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
