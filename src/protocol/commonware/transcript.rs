//! The transcript: a running BLAKE3 hash over everything both ends must agree
//! on (SPEC section 2).
//!
//! Packets are absorbed data first, length after. The two framings write the
//! length in opposite byte order and differ only for packets of 128 bytes or
//! more. Every derivation starts from the 32-byte summary alone, which is why
//! [`Summary`] and not the whole hasher is what a finished handshake keeps.
//! Hashers and summaries are wiped on drop; they are secret from the moment
//! the shared secret is committed. Hashers leave copies on the stack, which
//! whoever makes them has wiped.

use crate::protocol::secret::Secret;
use crate::protocol::varint;
use core::fmt;
use zeroize::{Zeroize, Zeroizing};

/// How the length of a packet is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// As a varint.
    V0,
    /// As the bytes of a varint in reverse order, which is unambiguous when
    /// read from the end.
    V1,
}

/// The first byte absorbed, by origin of the hasher.
#[derive(Clone, Copy)]
enum Start {
    New = 0,
    #[cfg(test)]
    Resume = 1,
    Fork = 2,
    Noise = 3,
}

/// A transcript that packets are committed to.
pub(crate) struct Transcript {
    hasher: blake3::Hasher,
    pending: u64,
    framing: Framing,
}

impl Transcript {
    /// Starts a transcript for the given application namespace.
    pub(crate) fn new(framing: Framing, namespace: &[u8]) -> Self {
        let mut transcript = Self::start(blake3::Hasher::new(), Start::New, framing);
        transcript.commit(namespace);
        transcript
    }

    fn start(mut hasher: blake3::Hasher, start: Start, framing: Framing) -> Self {
        hasher.update(&[start as u8]);
        Self {
            hasher,
            pending: 0,
            framing,
        }
    }

    /// Absorbs part of a packet.
    pub(crate) fn append(&mut self, data: &[u8]) {
        self.hasher.update(data);
        self.pending += data.len() as u64;
    }

    /// Absorbs the end of a packet: `data` and the length of all its parts.
    pub(crate) fn commit(&mut self, data: &[u8]) {
        self.append(data);
        absorb_length(&mut self.hasher, self.pending, self.framing);
        self.pending = 0;
    }

    /// The hash of what was committed; an unfinished packet counts as
    /// finished here.
    pub(crate) fn summary(&self) -> Summary {
        let bytes = if self.pending == 0 {
            first_bytes(&self.hasher)
        } else {
            let mut hasher = Zeroizing::new(self.hasher.clone());
            absorb_length(&mut hasher, self.pending, self.framing);
            first_bytes(&hasher)
        };
        Summary {
            bytes,
            framing: self.framing,
        }
    }

    /// A new transcript bound to this one and to `label`.
    pub(crate) fn fork(&self, label: &[u8]) -> Self {
        self.summary().fork(label)
    }

    /// The bytes an identity signs for this transcript: an empty signature
    /// namespace, which is one zero byte, and the summary.
    pub(crate) fn signing_payload(&self) -> [u8; 33] {
        let mut payload = [0; 33];
        payload[1..].copy_from_slice(self.summary().as_bytes());
        payload
    }
}

/// The first 32 bytes of what a hasher gives, which are its hash.
fn first_bytes(hasher: &blake3::Hasher) -> Secret {
    let mut output = Zeroizing::new(hasher.finalize_xof());
    Secret::filled_by(|bytes| output.fill(bytes))
}

fn absorb_length(hasher: &mut blake3::Hasher, length: u64, framing: Framing) {
    let mut bytes = [0; varint::MAX_U64_LEN];
    let len = varint::encode_u64(length, &mut bytes);
    let frame = &mut bytes[..len];
    if framing == Framing::V1 {
        frame.reverse();
    }
    hasher.update(frame);
}

impl Drop for Transcript {
    fn drop(&mut self) {
        self.hasher.zeroize();
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcript").finish_non_exhaustive()
    }
}

/// The 32 bytes that stand for a transcript, and what can be derived from
/// them.
pub(crate) struct Summary {
    bytes: Secret,
    framing: Framing,
}

impl Summary {
    /// The hash itself.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// A new transcript bound to this one and to `label`.
    pub(crate) fn fork(&self, label: &[u8]) -> Transcript {
        self.keyed(Start::Fork, label)
    }

    /// The first 32 bytes of the noise stream under `label`.
    pub(crate) fn key(&self, label: &[u8]) -> Secret {
        first_bytes(&self.noise(label).hasher)
    }

    fn noise(&self, label: &[u8]) -> Transcript {
        self.keyed(Start::Noise, label)
    }

    fn keyed(&self, start: Start, label: &[u8]) -> Transcript {
        let hasher = blake3::Hasher::new_keyed(&self.bytes);
        let mut transcript = Transcript::start(hasher, start, self.framing);
        transcript.commit(label);
        transcript
    }
}

impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Summary").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::identity::Identity;
    use crate::protocol::testing::{bytes, hex, list, number, text, vectors};
    use alloc::vec;
    use serde_json::Value;

    fn resume(framing: Framing, summary: &[u8; 32]) -> Transcript {
        Transcript::start(blake3::Hasher::new_keyed(summary), Start::Resume, framing)
    }

    fn run(framing: Framing, case: &Value) {
        let mut current: Option<Transcript> = None;
        for op in list(&case["ops"]) {
            let name = text(&case["name"]);
            let kind = text(&op["op"]);
            match kind {
                "new" => current = Some(Transcript::new(framing, &bytes(&op["data"]))),
                "resume" => {
                    let summary = hex(&op["summary"]).try_into().unwrap();
                    current = Some(resume(framing, &summary));
                }
                _ => {
                    let transcript = current.as_mut().unwrap();
                    match kind {
                        "append" => transcript.append(&bytes(&op["data"])),
                        "commit" => transcript.commit(&bytes(&op["data"])),
                        "fork" => *transcript = transcript.fork(&bytes(&op["data"])),
                        "resume_own_summary" => {
                            *transcript = resume(framing, transcript.summary().as_bytes());
                        }
                        "summarize" => {
                            assert_eq!(
                                transcript.summary().as_bytes()[..],
                                hex(&op["out"]),
                                "{name}"
                            );
                        }
                        "sign" => {
                            let seed = hex(&op["identity_seed"]).try_into().unwrap();
                            let signature =
                                Identity::from_seed(&seed).sign(&transcript.signing_payload());
                            assert_eq!(signature[..], hex(&op["out"]), "{name}");
                        }
                        "noise" => {
                            let label = bytes(&op["data"]);
                            let expected = hex(&op["out"]);
                            let mut noise =
                                transcript.summary().noise(&label).hasher.finalize_xof();
                            let mut drawn = vec![];
                            for draw in list(&op["draws"]) {
                                let mut piece = vec![0; usize::try_from(number(draw)).unwrap()];
                                noise.fill(&mut piece);
                                drawn.extend(piece);
                            }
                            assert_eq!(drawn, expected, "{name}");
                            if let Some(first) = expected.first_chunk::<32>() {
                                assert_eq!(*transcript.summary().key(&label), *first, "{name}");
                            }
                        }
                        other => panic!("unknown operation {other}"),
                    }
                }
            }
        }
    }

    #[test]
    fn vectors_hold() {
        for (framing, file) in [
            (Framing::V0, vectors!("transcript-v0.json")),
            (Framing::V1, vectors!("transcript-v1.json")),
        ] {
            for case in list(&file["cases"]) {
                run(framing, case);
            }
        }
    }

    #[test]
    fn framings_differ_only_from_128_bytes_on() {
        for (len, same) in [(0, true), (127, true), (128, false)] {
            let data = vec![7; len];
            let left = Transcript::new(Framing::V0, &data);
            let right = Transcript::new(Framing::V1, &data);
            assert_eq!(
                left.summary().as_bytes() == right.summary().as_bytes(),
                same
            );
        }
    }
}
