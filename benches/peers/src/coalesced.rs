//! Streams of tokio whose messages leave together by themselves, as ringseal's do: plain TCP, which is
//! what is left to gain when nothing is encrypted, and TLS, as well as its callers could gather.
//!
//! A message is copied behind those that wait already. One writer takes all of them whenever the
//! socket has taken what it was given before; a sender of small messages gives it a turn once in
//! 60 KiB. Nothing is copied on arrival: messages are looked at where they were read to.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use futures_util::future::try_join;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::tokio_peer::{Protocol, both_ends};
use crate::work::{Flow, Work};

/// Bytes that may wait for the writer, unless one message alone is longer.
const WAITING: usize = 256 * 1024;
/// Bytes of small messages between two turns of the writer.
const TURN: usize = 60 * 1024;
/// Messages from here on give the writer no turn: it has one whenever the sender has to wait.
const LONG: usize = 4096;
/// Bytes of the length before a message.
const HEADER: usize = 4;

/// A byte stream that a protocol makes of a socket.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream for S {}

/// Plain sockets.
#[derive(Clone, Copy)]
pub(crate) struct TcpBytes;

impl Protocol for TcpBytes {
    type Link = TcpStream;

    async fn dial(self, socket: TcpStream) -> TcpStream {
        socket
    }

    async fn accept(self, socket: TcpStream) -> TcpStream {
        socket
    }
}

/// Messages on their way to the writer.
#[derive(Default)]
struct Outbox {
    state: RefCell<Waiting>,
    /// Something waits, or nothing will follow.
    has_work: Notify,
    /// The writer has taken all that waited.
    has_room: Notify,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    since_turn: usize,
    is_closed: bool,
}

impl Outbox {
    async fn send(&self, message: &[u8]) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        let needed = HEADER + message.len();
        while !self.state.borrow().has_room_for(needed) {
            self.has_room.notified().await;
        }
        let is_turn = {
            let mut state = self.state.borrow_mut();
            if state.bytes.is_empty() {
                self.has_work.notify_one();
            }
            state.bytes.extend_from_slice(&length.to_be_bytes());
            state.bytes.extend_from_slice(message);
            state.since_turn += needed;
            let is_turn = message.len() < LONG && TURN <= state.since_turn;
            if is_turn {
                state.since_turn = 0;
            }
            is_turn
        };
        if is_turn {
            yield_now().await;
        }
        Ok(())
    }

    fn close(&self) {
        self.state.borrow_mut().is_closed = true;
        self.has_work.notify_one();
    }

    /// Writes what comes until the end, and says that nothing follows.
    async fn write(&self, mut socket: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut writing = Vec::new();
        loop {
            let is_closed = {
                let mut state = self.state.borrow_mut();
                std::mem::swap(&mut state.bytes, &mut writing);
                state.is_closed
            };
            if !writing.is_empty() {
                self.has_room.notify_one();
                socket.write_all(&writing).await?;
                socket.flush().await?;
                writing.clear();
            } else if is_closed {
                return socket.shutdown().await;
            } else {
                self.has_work.notified().await;
            }
        }
    }
}

impl Waiting {
    fn has_room_for(&self, needed: usize) -> bool {
        self.bytes.is_empty() || self.bytes.len() + needed <= WAITING
    }
}

/// Messages where they were read to.
struct Inbox<S> {
    socket: S,
    bytes: Vec<u8>,
    /// Where the next message begins.
    start: usize,
    /// Where the bytes that have come end.
    end: usize,
}

impl<S: AsyncRead + Unpin> Inbox<S> {
    fn new(socket: S) -> Self {
        Self {
            socket,
            bytes: vec![0; WAITING],
            start: 0,
            end: 0,
        }
    }

    /// Gives the next message, or `None` at the end.
    async fn next(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            if let Some(header) = self.bytes[self.start..self.end].first_chunk::<HEADER>() {
                let length = u32::from_be_bytes(*header);
                let length = usize::try_from(length).map_err(io::Error::other)?;
                let message = self.start + HEADER..self.start + HEADER + length;
                if message.end <= self.end {
                    self.start = message.end;
                    return Ok(Some(&self.bytes[message]));
                }
                if self.bytes.len() < HEADER + length {
                    self.bytes.resize(HEADER + length, 0);
                }
            }
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            match self.socket.read(&mut self.bytes[self.end..]).await? {
                0 if self.end == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.end += read,
            }
        }
    }
}

/// Streams messages from a dialer on core 0 to a listener on core 1.
pub(crate) fn stream<P: Protocol<Link: ByteStream>>(protocol: &P, work: &Work) -> Flow {
    let work = *work;
    let (sent, flow) = both_ends(
        protocol,
        async move |stream| {
            let outbox = Outbox::default();
            let (sent, ()) = try_join(flood(&outbox, &work), outbox.write(stream))
                .await
                .expect("send");
            sent
        },
        async |stream| take_in(stream).await.expect("receive"),
    );
    assert_eq!(sent, flow.messages, "what was sent has arrived");
    flow
}

/// Times one-byte round trips.
pub(crate) fn ping<P: Protocol<Link: ByteStream>>(protocol: &P, count: usize) -> Vec<Duration> {
    let (pings, ()) = both_ends(
        protocol,
        async move |stream| {
            let (read, write) = split(stream);
            let outbox = Outbox::default();
            let (pings, ()) = try_join(
                round_trips(&outbox, Inbox::new(read), count),
                outbox.write(write),
            )
            .await
            .expect("an echo");
            pings
        },
        async |stream| {
            let (read, write) = split(stream);
            let outbox = Outbox::default();
            try_join(echo(&outbox, Inbox::new(read)), outbox.write(write))
                .await
                .expect("a ping");
        },
    );
    pings
}

async fn flood(outbox: &Outbox, work: &Work) -> io::Result<u64> {
    let message = vec![0x5a; work.size];
    let mut sent = 0;
    let start = Instant::now();
    while start.elapsed() < work.duration {
        for _ in 0..work.calls_a_clock_reading() * work.batch {
            outbox.send(&message).await?;
            sent += 1;
        }
    }
    outbox.close();
    Ok(sent)
}

async fn take_in(stream: impl ByteStream) -> io::Result<Flow> {
    let mut inbox = Inbox::new(stream);
    let mut flow = Flow::default();
    let mut first = None;
    while let Some(message) = inbox.next().await? {
        first.get_or_insert_with(Instant::now);
        flow.messages += 1;
        flow.bytes += message.len() as u64;
    }
    flow.elapsed = first.map_or(Duration::ZERO, |first| first.elapsed());
    Ok(flow)
}

async fn round_trips(
    outbox: &Outbox,
    mut inbox: Inbox<impl AsyncRead + Unpin>,
    count: usize,
) -> io::Result<Vec<Duration>> {
    let mut pings = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        outbox.send(&[1]).await?;
        inbox.next().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        pings.push(start.elapsed());
    }
    outbox.close();
    Ok(pings)
}

async fn echo(outbox: &Outbox, mut inbox: Inbox<impl AsyncRead + Unpin>) -> io::Result<()> {
    while let Some(message) = inbox.next().await? {
        outbox.send(message).await?;
    }
    outbox.close();
    Ok(())
}
