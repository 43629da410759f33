//! The receiver of CUPS against any stream, of which the input may have parts sealed with the right key.

use ringseal::internals::{cups_pair, encode_varint};
use ringseal::protocol::cipher::{Aead, DefaultAead, TAG_LEN};
use ringseal::protocol::record::{CupsVersion, MAX_MESSAGE_SIZE, OpenError, Opener, Progress};

use crate::input::{Flags, Input};
use crate::record_model::varint;

const KEY: [u8; 32] = [7; 32];
/// Length of a header in V1.
const HEADER_LEN: usize = 4 + TAG_LEN;

pub(crate) fn cups_records(data: &[u8]) {
    let mut input = Input::new(data);
    let mut flags = Flags::take_from(&mut input);
    let version = if flags.next() {
        CupsVersion::V1
    } else {
        CupsVersion::V0
    };
    let limit = input.choose(&[0, 10, 1_000, 100_000, MAX_MESSAGE_SIZE]);
    let piece = 1 + input.below(4_000);
    let mut forger = Forger {
        cipher: Cipher::new(),
        version,
        stream: Vec::new(),
    };
    while !input.is_over() {
        forger.append(&mut input);
    }
    let stream = forger.stream;
    let (_, opener) = cups_pair(&KEY, version, limit);
    let read = read(opener, &stream, piece);
    let expected = match version {
        CupsVersion::V0 => expected_v0(&stream, limit),
        CupsVersion::V1 => expected_v1(&stream, limit),
    };
    assert_eq!(read.0, expected.0);
    assert_eq!(read.1, expected.1);
}

/// The cipher of a direction, and how often it was used.
struct Cipher {
    aead: DefaultAead,
    count: u64,
}

impl Cipher {
    fn new() -> Self {
        Self {
            aead: DefaultAead::new(&KEY),
            count: 0,
        }
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.count.to_le_bytes());
        self.count += 1;
        nonce
    }

    fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; plaintext.len() + TAG_LEN];
        let nonce = self.nonce();
        self.aead
            .seal(&nonce, plaintext, &mut sealed)
            .expect("it is short");
        sealed
    }

    fn open(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut opened = sealed.to_vec();
        let nonce = self.nonce();
        self.aead.open_in_place(&nonce, &mut opened).ok()?;
        opened.truncate(sealed.len() - TAG_LEN);
        Some(opened)
    }
}

/// A peer that announces what it likes.
struct Forger {
    cipher: Cipher,
    version: CupsVersion,
    stream: Vec<u8>,
}

impl Forger {
    fn append(&mut self, input: &mut Input<'_>) {
        let tag = input.byte();
        let length = usize::from(input.byte());
        let mut body = input.bytes(length).to_vec();
        if tag & 0x04 != 0 {
            body.resize(body.len() + input.below(3_000), 0x5a);
        }
        match tag & 0x03 {
            // As it is: to begin with the length in V0, or with what nobody has sealed.
            0 => self.stream.extend(body),
            1 => {
                let announced = u32::from_be_bytes(input.array());
                self.record(u64::from(announced), &body);
            }
            _ => {
                let length = body.len() as u64;
                self.record(length, &body);
            }
        }
        if tag & 0x08 != 0 && !self.stream.is_empty() {
            let bit = input.below(usize::from(u16::MAX)) % (self.stream.len() * 8);
            self.stream[bit / 8] ^= 1 << (bit % 8);
        }
    }

    fn record(&mut self, announced: u64, body: &[u8]) {
        let header = match self.version {
            CupsVersion::V0 => encode_varint(announced + TAG_LEN as u64),
            CupsVersion::V1 => {
                let low = u32::try_from(announced).unwrap_or(u32::MAX);
                self.cipher.seal(&low.to_be_bytes())
            }
        };
        self.stream.extend(header);
        self.stream.extend(self.cipher.seal(body));
    }
}

/// What became of a stream behind its messages.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It may end here.
    Between,
    Truncated,
    Refused(OpenError),
}

type Read = (Vec<Vec<u8>>, End);

/// Reads as an edge does, which keeps what is not consumed.
fn read(mut opener: Opener, stream: &[u8], piece: usize) -> Read {
    let (mut buffer, mut messages, mut needed) = (Vec::new(), Vec::new(), 0);
    for piece in stream.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            let consumed = match opener.open(&mut buffer) {
                Ok(Progress::Message {
                    plaintext,
                    consumed,
                }) => {
                    assert!(plaintext.len() as u64 <= u64::from(opener.max_message_size()));
                    assert!(before >= needed, "it went on with less than it needed");
                    needed = 0;
                    messages.push(buffer[plaintext].to_vec());
                    consumed
                }
                Ok(Progress::Incomplete {
                    consumed,
                    needed: more,
                }) => {
                    let most = opener.max_message_size() as usize + 2 * HEADER_LEN;
                    assert!(more > before - consumed && more <= most);
                    needed = more;
                    buffer.drain(..consumed);
                    break;
                }
                Err(error) => {
                    assert_eq!(opener.open(&mut buffer), Err(OpenError::Closed));
                    assert_eq!(opener.finish(0), Err(OpenError::Closed));
                    return (messages, End::Refused(error));
                }
            };
            buffer.drain(..consumed);
        }
    }
    let end = match opener.finish(buffer.len()) {
        Ok(()) => End::Between,
        Err(error) => {
            assert_eq!(error, OpenError::Truncated);
            End::Truncated
        }
    };
    (messages, end)
}

/// The rule of SPEC section 6, over all of the stream at once.
fn expected_v0(mut stream: &[u8], limit: u32) -> Read {
    let (mut cipher, mut messages) = (Cipher::new(), Vec::new());
    while !stream.is_empty() {
        let Some((length, rest)) = varint(stream) else {
            let end = match is_start_of_varint(stream) {
                true => End::Truncated,
                false => End::Refused(OpenError::BadVarint),
            };
            return (messages, end);
        };
        if let Some(error) = too_large(length.saturating_sub(TAG_LEN as u64), limit) {
            return (messages, error);
        }
        let length = usize::try_from(length).expect("32 bits");
        let Some((body, rest)) = rest.split_at_checked(length) else {
            return (messages, End::Truncated);
        };
        let Some(message) = (length >= TAG_LEN).then(|| cipher.open(body)).flatten() else {
            return failed(messages);
        };
        messages.push(message);
        stream = rest;
    }
    (messages, End::Between)
}

fn expected_v1(mut stream: &[u8], limit: u32) -> Read {
    let (mut cipher, mut messages) = (Cipher::new(), Vec::new());
    while !stream.is_empty() {
        let Some((header, rest)) = stream.split_at_checked(HEADER_LEN) else {
            return (messages, End::Truncated);
        };
        let Some(announced) = cipher.open(header) else {
            return failed(messages);
        };
        let length = u32::from_be_bytes(announced.try_into().expect("it has one length"));
        if let Some(error) = too_large(length.into(), limit) {
            return (messages, error);
        }
        let length = length as usize + TAG_LEN;
        let Some((body, rest)) = rest.split_at_checked(length) else {
            return (messages, End::Truncated);
        };
        let Some(message) = cipher.open(body) else {
            return failed(messages);
        };
        messages.push(message);
        stream = rest;
    }
    (messages, End::Between)
}

fn too_large(length: u64, limit: u32) -> Option<End> {
    let length = u32::try_from(length).expect("32 bits");
    (length > limit).then_some(End::Refused(OpenError::TooLarge { length, limit }))
}

fn failed(messages: Vec<Vec<u8>>) -> Read {
    let error = match messages.is_empty() {
        true => OpenError::FailedFirst,
        false => OpenError::Failed,
    };
    (messages, End::Refused(error))
}

/// Whether bytes may come that make it one: all go on, none is one too many.
fn is_start_of_varint(bytes: &[u8]) -> bool {
    bytes.len() < 5 && bytes.iter().all(|byte| *byte >= 128)
}
