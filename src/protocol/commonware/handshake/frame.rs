//! Handshake messages on the wire: a length and a body of fixed size (SPEC
//! section 3).
//!
//! [`FrameReader`] collects one message from pieces of any size, into room
//! for the largest that is allowed here, so nothing a peer announces leads to
//! an allocation. [`Fields`] takes a body apart.

use super::HandshakeError;
use crate::protocol::varint::{self, Decoder};
use alloc::vec::Vec;

/// Body of Prelude: the dialer's public key.
pub(super) const PRELUDE_LEN: usize = 32;
/// Body of Syn: time, ephemeral key, signature.
pub(super) const SYN_LEN: usize = 8 + 32 + 64;
/// Body of SynAck: as Syn, and a confirmation.
pub(super) const SYN_ACK_LEN: usize = SYN_LEN + 32;
/// Body of Ack: a confirmation.
pub(super) const ACK_LEN: usize = 32;

const MAX_LEN: usize = SYN_ACK_LEN;

/// Collects one message whose body has a known size.
#[derive(Debug)]
pub(super) struct FrameReader {
    /// Size the body must have; at most [`MAX_LEN`].
    expected: usize,
    prefix: Decoder,
    /// Announced size, once the prefix is complete; at most `expected`.
    announced: Option<usize>,
    /// How much of `body` has arrived; at most `announced`.
    filled: usize,
    body: [u8; MAX_LEN],
}

impl FrameReader {
    pub(super) const fn new(expected: usize) -> Self {
        assert!(expected <= MAX_LEN);
        Self {
            expected,
            prefix: Decoder::new(),
            announced: None,
            filled: 0,
            body: [0; MAX_LEN],
        }
    }

    /// The most bytes that can be read without passing the end of the message.
    pub(super) fn wanted(&self) -> usize {
        match self.announced {
            Some(announced) => announced - self.filled,
            None => {
                let total = varint::len_u64(self.expected as u64) + self.expected;
                total - self.prefix.len()
            }
        }
    }

    /// Takes from the front of `input` what belongs to the message and says
    /// how much that was, and whether the message is complete.
    pub(super) fn receive(&mut self, input: &[u8]) -> Result<(usize, bool), HandshakeError> {
        let mut rest = input;
        while self.announced.is_none() {
            let Some((&byte, after)) = rest.split_first() else {
                return Ok((input.len(), false));
            };
            rest = after;
            if let Some(length) = self.prefix.push(byte)? {
                self.announced = Some(self.check(length)?);
            }
        }
        let missing = self.wanted();
        let (now, rest) = rest.split_at(missing.min(rest.len()));
        for (target, source) in self.body.iter_mut().skip(self.filled).zip(now) {
            *target = *source;
        }
        self.filled += now.len();
        let complete = now.len() == missing;
        if complete && self.filled != self.expected {
            return Err(HandshakeError::Decode);
        }
        Ok((input.len() - rest.len(), complete))
    }

    fn check(&self, length: u32) -> Result<usize, HandshakeError> {
        usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.expected)
            .ok_or(HandshakeError::FrameTooLarge { length })
    }

    /// The fields of a complete message.
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields(self.body.get(..self.filled).unwrap_or_default())
    }
}

/// Takes the fields of a body from front to back.
pub(super) struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], HandshakeError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(HandshakeError::Decode)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(super) fn take_u64(&mut self) -> Result<u64, HandshakeError> {
        self.take().map(u64::from_be_bytes)
    }
}

/// Appends a message made of `fields`.
pub(super) fn write(output: &mut Vec<u8>, fields: &[&[u8]]) {
    let len: usize = fields.iter().map(|field| field.len()).sum();
    let mut prefix = [0; varint::MAX_U64_LEN];
    let prefix_len = varint::encode_u64(len as u64, &mut prefix);
    output.reserve(prefix_len + len);
    output.extend(prefix.iter().take(prefix_len));
    fields.iter().for_each(|field| output.extend(*field));
}
