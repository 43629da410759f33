//! snow over tokio: `Noise_XX_25519_ChaChaPoly_BLAKE2s`, each noise message behind a 2-byte
//! length.
//!
//! A message longer than a noise message can be goes in several; one that is not full ends it, so
//! a message of an exact multiple is followed by an empty one.

use std::io;

use snow::{Builder, HandshakeState, TransportState};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::framed::READ_BUFFER;
use crate::tokio_peer::{Link, Protocol};

const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";

/// Longest noise message.
const MAX_RECORD: usize = 65_535;

const TAG: usize = 16;

/// Longest plaintext of a noise message.
const MAX_PIECE: usize = MAX_RECORD - TAG;

/// Bytes of the length before a noise message.
const HEADER: usize = 2;

/// What is sealed before a write is made without a flush.
const WRITE_SIZE: usize = 256 * 1024;

/// Noise as it is; each end makes itself a static key.
#[derive(Clone, Copy)]
pub(crate) struct Noise;

/// A noise session and its socket.
pub(crate) struct NoiseLink {
    socket: BufReader<TcpStream>,
    session: TransportState,
    /// Sealed and not yet written: its first `waiting` bytes.
    outgoing: Box<[u8]>,
    waiting: usize,
    /// The noise message that was read last.
    record: Box<[u8]>,
}

impl Protocol for Noise {
    type Link = NoiseLink;

    async fn dial(self, socket: TcpStream) -> NoiseLink {
        shake_hands(socket, true).await.expect("a noise handshake")
    }

    async fn accept(self, socket: TcpStream) -> NoiseLink {
        shake_hands(socket, false).await.expect("a noise handshake")
    }
}

fn handshake(initiator: bool) -> Result<HandshakeState, snow::Error> {
    let builder = Builder::new(PATTERN.parse()?);
    let keys = builder.generate_keypair()?;
    let builder = builder.local_private_key(&keys.private)?;
    if initiator {
        builder.build_initiator()
    } else {
        builder.build_responder()
    }
}

async fn shake_hands(socket: TcpStream, initiator: bool) -> io::Result<NoiseLink> {
    let mut socket = BufReader::with_capacity(READ_BUFFER, socket);
    let mut state = handshake(initiator).map_err(io::Error::other)?;
    let mut record = vec![0; MAX_RECORD].into_boxed_slice();
    let mut payload = vec![0; MAX_RECORD];
    while !state.is_handshake_finished() {
        if state.is_my_turn() {
            let length = state
                .write_message(&[], &mut record)
                .map_err(io::Error::other)?;
            let header = u16::try_from(length).map_err(io::Error::other)?;
            socket.write_u16(header).await?;
            socket.write_all(&record[..length]).await?;
        } else {
            let length = usize::from(socket.read_u16().await?);
            socket.read_exact(&mut record[..length]).await?;
            state
                .read_message(&record[..length], &mut payload)
                .map_err(io::Error::other)?;
        }
    }
    Ok(NoiseLink {
        socket,
        session: state.into_transport_mode().map_err(io::Error::other)?,
        outgoing: vec![0; WRITE_SIZE + HEADER + MAX_RECORD].into_boxed_slice(),
        waiting: 0,
        record,
    })
}

impl NoiseLink {
    async fn seal(&mut self, piece: &[u8]) -> io::Result<()> {
        let (header, record) = self.outgoing[self.waiting..].split_at_mut(HEADER);
        let length = self
            .session
            .write_message(piece, record)
            .map_err(io::Error::other)?;
        let prefix = u16::try_from(length).map_err(io::Error::other)?;
        header.copy_from_slice(&prefix.to_be_bytes());
        self.waiting += HEADER + length;
        if self.waiting >= WRITE_SIZE {
            self.flush().await?;
        }
        Ok(())
    }
}

impl Link for NoiseLink {
    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let pieces = message.chunks_exact(MAX_PIECE);
        let last = pieces.remainder();
        for piece in pieces {
            self.seal(piece).await?;
        }
        self.seal(last).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.socket
            .write_all(&self.outgoing[..self.waiting])
            .await?;
        self.waiting = 0;
        Ok(())
    }

    async fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        if self.socket.fill_buf().await?.is_empty() {
            return Ok(None);
        }
        let mut received = 0;
        loop {
            let length = usize::from(self.socket.read_u16().await?);
            let record = &mut self.record[..length];
            self.socket.read_exact(record).await?;
            // Room for the tag too: without it snow opens into a block of its own and copies.
            if buffer.len() < received + length {
                buffer.resize(received + length, 0);
            }
            let piece = self
                .session
                .read_message(record, &mut buffer[received..])
                .map_err(io::Error::other)?;
            received += piece;
            if piece < MAX_PIECE {
                return Ok(Some(received));
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.socket.shutdown().await
    }
}
