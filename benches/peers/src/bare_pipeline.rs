//! What this machine allows: blocking sockets and one ChaCha20-Poly1305 seal and open for each
//! message, with nothing else in between.
//!
//! No handshake, no runtime, one AEAD call a message, lengths in the clear and unauthenticated.
//! It is a limit to compare with, not a protocol to use.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::contender::{CALLS_A_CLOCK_READING, Flow, Work, pin};

/// Frames are collected until they are this long, then written together.
const WRITE_SIZE: usize = 256 * 1024;

/// Bytes of a frame's length.
const HEADER: usize = 4;

const TAG: usize = 16;

/// One direction's key and the number of its next message.
struct Cipher {
    key: LessSafeKey,
    counter: u64,
}

impl Cipher {
    fn new() -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &[7; 32]).expect("32 bytes are a key");
        Self {
            key: LessSafeKey::new(key),
            counter: 0,
        }
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.counter.to_le_bytes());
        self.counter += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Streams messages from a dialer on core 0 to a listener on core 1.
pub(crate) fn stream(work: &Work) -> Flow {
    let (ready, address) = mpsc::channel();
    let listener = std::thread::spawn(move || {
        pin(1);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        ready
            .send(listener.local_addr().expect("bound"))
            .expect("somebody waits for the address");
        let (socket, _) = listener.accept().expect("accept");
        take_in(socket).expect("receive")
    });
    let address = address.recv().expect("the listener listens");
    let work = *work;
    let dialer = std::thread::spawn(move || {
        pin(0);
        flood(address, &work).expect("send")
    });
    let sent = dialer.join().expect("the dialer ends well");
    let flow = listener.join().expect("the listener ends well");
    assert_eq!(sent, flow.messages, "what was sent has arrived");
    flow
}

/// Gives how many messages were sent.
fn flood(address: SocketAddr, work: &Work) -> io::Result<u64> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let mut cipher = Cipher::new();
    let message = vec![0x5a; work.size];
    let length = u32::try_from(work.size).map_err(io::Error::other)?;
    let mut outgoing = Vec::with_capacity(WRITE_SIZE + HEADER + work.size + TAG);
    let mut sent = 0;
    let start = Instant::now();
    while start.elapsed() < work.duration {
        for _ in 0..CALLS_A_CLOCK_READING * work.batch {
            outgoing.extend_from_slice(&length.to_be_bytes());
            let plaintext = outgoing.len();
            outgoing.extend_from_slice(&message);
            let nonce = cipher.nonce();
            let tag = cipher
                .key
                .seal_in_place_separate_tag(nonce, Aad::empty(), &mut outgoing[plaintext..])
                .map_err(io::Error::other)?;
            outgoing.extend_from_slice(tag.as_ref());
            sent += 1;
            if outgoing.len() >= WRITE_SIZE {
                socket.write_all(&outgoing)?;
                outgoing.clear();
            }
        }
    }
    socket.write_all(&outgoing)?;
    Ok(sent)
}

fn take_in(mut socket: TcpStream) -> io::Result<Flow> {
    socket.set_nodelay(true)?;
    let mut cipher = Cipher::new();
    let mut flow = Flow::default();
    let mut first = None;
    let mut incoming = vec![0; WRITE_SIZE];
    let mut filled = 0;
    loop {
        let read = socket.read(&mut incoming[filled..])?;
        if read == 0 {
            break;
        }
        filled += read;
        let mut opened = 0;
        while let Some(header) = incoming[opened..filled].first_chunk::<HEADER>() {
            let length = u32::from_be_bytes(*header);
            let frame = HEADER + usize::try_from(length).map_err(io::Error::other)? + TAG;
            if filled - opened < frame {
                if incoming.len() < frame {
                    incoming.resize(frame, 0);
                }
                break;
            }
            let nonce = cipher.nonce();
            let sealed = &mut incoming[opened + HEADER..opened + frame];
            let plaintext = cipher
                .key
                .open_in_place(nonce, Aad::empty(), sealed)
                .map_err(io::Error::other)?;
            first.get_or_insert_with(Instant::now);
            flow.messages += 1;
            flow.bytes += plaintext.len() as u64;
            opened += frame;
        }
        incoming.copy_within(opened..filled, 0);
        filled -= opened;
    }
    flow.elapsed = first.map_or(Duration::ZERO, |first| first.elapsed());
    Ok(flow)
}
