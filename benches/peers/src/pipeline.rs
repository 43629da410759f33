//! What this machine allows: blocking sockets and one seal and open for each record, with nothing
//! else in between.
//!
//! No handshake and no runtime. Each message has a record of its own, or those of up to 4 KiB
//! share records of 64 KiB; records leave in writes of 256 KiB. Lengths are in the clear and
//! unauthenticated. It is a limit to compare with, not a protocol to use.
//!
//! The library is the one that ringseal takes for the suite on this processor: what is compared is
//! all that is not the cipher.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use aws_lc_rs::aead as aws_lc;
use ring::aead as ring;
use ringseal::protocol::native::Library;

use crate::tls::Suite;
use crate::work::{Flow, Work, pin};

/// Records are collected until they are this long, then written together.
const WRITE_SIZE: usize = 256 * 1024;
/// Longer messages have a record of their own in any case, as by default on the native wire.
const LONGEST_PACKED: usize = 4096;
/// Bytes of the messages in a record of several.
const RECORD_SIZE: usize = 64 * 1024;
/// Bytes of the length of a record, and of a message in it.
const HEADER: usize = 4;
const TAG: usize = 16;

/// A key of one of the libraries.
enum Key {
    AwsLc(aws_lc::LessSafeKey),
    Ring(Box<ring::LessSafeKey>),
}

/// One direction's key and the number of its next record.
struct Cipher {
    key: Key,
    counter: u64,
}

/// Makes a key of a library; all of them have the same calls.
macro_rules! key {
    ($library:ident, $suite:ident) => {{
        let algorithm = match $suite {
            Suite::Aes256Gcm => &$library::AES_256_GCM,
            Suite::ChaCha20Poly1305 => &$library::CHACHA20_POLY1305,
        };
        let key = $library::UnboundKey::new(algorithm, &[7; 32]).expect("32 bytes are a key");
        $library::LessSafeKey::new(key)
    }};
}

impl Cipher {
    fn new(suite: Suite) -> Self {
        let library = Library::for_suite(match suite {
            Suite::Aes256Gcm => ringseal::protocol::native::Suite::Aes256Gcm,
            Suite::ChaCha20Poly1305 => ringseal::protocol::native::Suite::ChaCha20Poly1305,
        });
        let key = match library {
            Library::Ring => Key::Ring(Box::new(key!(ring, suite))),
            _ => Key::AwsLc(key!(aws_lc, suite)),
        };
        Self { key, counter: 0 }
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.counter.to_le_bytes());
        self.counter += 1;
        nonce
    }

    /// Seals what lies behind the length that begins at `start`, and appends the tag.
    fn seal(&mut self, start: usize, outgoing: &mut Vec<u8>) -> io::Result<()> {
        let plaintext = start + HEADER;
        let length = u32::try_from(outgoing.len() - plaintext).map_err(io::Error::other)?;
        outgoing[start..plaintext].copy_from_slice(&length.to_be_bytes());
        let nonce = self.nonce();
        let bytes = &mut outgoing[plaintext..];
        match &self.key {
            Key::AwsLc(key) => {
                let nonce = aws_lc::Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, aws_lc::Aad::empty(), bytes);
                outgoing.extend_from_slice(tag.map_err(io::Error::other)?.as_ref());
            }
            Key::Ring(key) => {
                let nonce = ring::Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, ring::Aad::empty(), bytes);
                outgoing.extend_from_slice(tag.map_err(io::Error::other)?.as_ref());
            }
        }
        Ok(())
    }

    /// Opens a record, without its length, and returns the plaintext.
    fn open<'a>(&mut self, sealed: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let nonce = self.nonce();
        let opened = match &self.key {
            Key::AwsLc(key) => {
                let nonce = aws_lc::Nonce::assume_unique_for_key(nonce);
                let opened = key.open_in_place(nonce, aws_lc::Aad::empty(), sealed);
                opened.map_err(io::Error::other)?
            }
            Key::Ring(key) => {
                let nonce = ring::Nonce::assume_unique_for_key(nonce);
                let opened = key.open_in_place(nonce, ring::Aad::empty(), sealed);
                opened.map_err(io::Error::other)?
            }
        };
        Ok(opened)
    }
}

/// Streams messages from a dialer on core 0 to a listener on core 1.
pub(crate) fn stream(suite: Suite, packs: bool, work: &Work) -> Flow {
    let (ready, address) = mpsc::channel();
    let is_packed = packs && work.size <= LONGEST_PACKED;
    let listener = std::thread::spawn(move || {
        pin(1);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        ready
            .send(listener.local_addr().expect("bound"))
            .expect("somebody waits for the address");
        let (socket, _) = listener.accept().expect("accept");
        take_in(suite, socket, is_packed).expect("receive")
    });
    let address = address.recv().expect("the listener listens");
    let work = *work;
    let dialer = std::thread::spawn(move || {
        pin(0);
        flood(suite, address, is_packed, &work).expect("send")
    });
    let sent = dialer.join().expect("the dialer ends well");
    let flow = listener.join().expect("the listener ends well");
    assert_eq!(sent, flow.messages, "what was sent has arrived");
    flow
}

/// Gives how many messages were sent.
fn flood(suite: Suite, address: SocketAddr, is_packed: bool, work: &Work) -> io::Result<u64> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    let mut cipher = Cipher::new(suite);
    let message = vec![0x5a; work.size];
    let length = u32::try_from(work.size).map_err(io::Error::other)?;
    let mut outgoing = Vec::with_capacity(WRITE_SIZE + RECORD_SIZE + work.size + 2 * HEADER + TAG);
    // Where the record that is open begins.
    let mut open = None;
    let mut sent = 0;
    let start = Instant::now();
    while start.elapsed() < work.duration {
        for _ in 0..work.calls_a_clock_reading() * work.batch {
            let record = *open.get_or_insert_with(|| {
                outgoing.extend_from_slice(&[0; HEADER]);
                outgoing.len() - HEADER
            });
            if is_packed {
                outgoing.extend_from_slice(&length.to_be_bytes());
            }
            outgoing.extend_from_slice(&message);
            sent += 1;
            if !is_packed || outgoing.len() - record >= RECORD_SIZE {
                cipher.seal(record, &mut outgoing)?;
                open = None;
                if outgoing.len() >= WRITE_SIZE {
                    socket.write_all(&outgoing)?;
                    outgoing.clear();
                }
            }
        }
    }
    if let Some(record) = open {
        cipher.seal(record, &mut outgoing)?;
    }
    socket.write_all(&outgoing)?;
    Ok(sent)
}

fn take_in(suite: Suite, mut socket: TcpStream, is_packed: bool) -> io::Result<Flow> {
    socket.set_nodelay(true)?;
    let mut cipher = Cipher::new(suite);
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
            let record = HEADER + usize::try_from(length).map_err(io::Error::other)? + TAG;
            if filled - opened < record {
                if incoming.len() < record {
                    incoming.resize(record, 0);
                }
                break;
            }
            let plaintext = cipher.open(&mut incoming[opened + HEADER..opened + record])?;
            first.get_or_insert_with(Instant::now);
            count(plaintext, is_packed, &mut flow)?;
            opened += record;
        }
        incoming.copy_within(opened..filled, 0);
        filled -= opened;
    }
    flow.elapsed = first.map_or(Duration::ZERO, |first| first.elapsed());
    Ok(flow)
}

/// Counts the messages of a record.
fn count(mut plaintext: &[u8], is_packed: bool, flow: &mut Flow) -> io::Result<()> {
    if !is_packed {
        flow.messages += 1;
        flow.bytes += plaintext.len() as u64;
        return Ok(());
    }
    while let Some((header, rest)) = plaintext.split_first_chunk::<HEADER>() {
        let length = usize::try_from(u32::from_be_bytes(*header)).map_err(io::Error::other)?;
        let Some((message, behind)) = rest.split_at_checked(length) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        flow.messages += 1;
        flow.bytes += message.len() as u64;
        plaintext = behind;
    }
    Ok(())
}
