//! A layout made for tests: all messages of a draft under one tag, sealed when it leaves.

use crate::protocol::cipher::{Aead, DefaultAead};
use crate::protocol::layout::{Draft, End, Incoming, IsNoRoom, Outgoing, Place, Planned, Step};
use core::convert::Infallible;
use core::ops::{DerefMut, Range};

/// Messages of one byte of length each, under one tag, sealed when the draft leaves.
///
/// ```text
/// | length (2), with tag | length (1) | message | ... | tag (16) |
/// ```
pub(crate) struct OneTag {
    cipher: DefaultAead,
    counter: u64,
    /// Where the next message of the opened record begins, and where the record ends.
    unread: (usize, usize),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl OneTag {
    pub(crate) fn new() -> Self {
        Self {
            cipher: DefaultAead::new(&[9; 32]),
            counter: 0,
            unread: (0, 0),
        }
    }

    fn nonce(&mut self) -> [u8; 12] {
        self.counter += 1;
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.counter.to_le_bytes());
        nonce
    }

    fn open_record<B: DerefMut<Target = [u8]>>(
        &self,
        draft: &mut Draft<B>,
        planned: Planned,
    ) -> Result<usize, Refused> {
        if !draft.has_open() {
            let start = draft.sealed_len() + 2;
            let limit = draft.capacity().checked_sub(16).ok_or(Refused)?;
            draft.begin_record(start, limit.max(start));
        }
        let (end, limit) = draft.open_record();
        if end + 1 + planned.length() > limit {
            return Err(Refused);
        }
        Ok(end + 1)
    }
}

impl IsNoRoom for Refused {
    fn is_no_room(&self) -> bool {
        true
    }
}

impl Outgoing for OneTag {
    type Error = Refused;

    fn plan(&self, length: usize) -> Result<Planned, Refused> {
        if length > 255 {
            return Err(Refused);
        }
        Ok(Planned::new(length, 2 + 1 + length + 16, true))
    }

    fn append<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        planned: Planned,
        message: &[u8],
    ) -> Result<(), Refused> {
        let place = self.reserve(draft, planned)?;
        draft.plaintext_mut(&place).copy_from_slice(message);
        self.append_reserved(draft, place)
    }

    fn reserve<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        planned: Planned,
    ) -> Result<Place, Refused> {
        let start = self.open_record(draft, planned)?;
        Ok(Place::new(planned, start..start + planned.length()))
    }

    fn shorten<B: DerefMut<Target = [u8]>>(
        &self,
        draft: &mut Draft<B>,
        place: &mut Place,
        length: usize,
    ) -> usize {
        let length = length.min(place.planned().length());
        let planned = Planned::new(length, 2 + 1 + length + 16, true);
        let start = place.start();
        draft.shorten(place, planned, start)
    }

    fn append_reserved<B: DerefMut<Target = [u8]>>(
        &mut self,
        draft: &mut Draft<B>,
        place: Place,
    ) -> Result<(), Refused> {
        let (end, _) = draft.open_record();
        let length = place.planned().length();
        draft.behind(end)[0] = u8::try_from(length).unwrap();
        draft.extend_record(end + 1 + length);
        Ok(())
    }

    fn finish<B: DerefMut<Target = [u8]>>(&mut self, draft: &mut Draft<B>) -> Result<(), Refused> {
        if !draft.has_open() {
            return Ok(());
        }
        let length = draft.open_record().0 - draft.sealed_len() - 2 + 16;
        let nonce = self.nonce();
        let record = &mut draft.behind_sealed()[..length + 2];
        record[..2].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        self.cipher
            .seal_in_place(&nonce, &mut record[2..])
            .map_err(|_| Refused)?;
        draft.seal_up(length + 2);
        Ok(())
    }
}

impl Incoming for OneTag {
    type Event = Infallible;
    type Error = Refused;

    fn open(&mut self, stream: &mut [u8]) -> Result<Step<Infallible>, Refused> {
        let incomplete = |needed| {
            Ok(Step::Incomplete {
                consumed: 0,
                needed,
            })
        };
        let Some(prefix) = stream.first_chunk() else {
            return incomplete(2);
        };
        let consumed = 2 + usize::from(u16::from_be_bytes(*prefix));
        if stream.len() < consumed {
            return incomplete(consumed);
        }
        let nonce = self.nonce();
        self.cipher
            .open_in_place(&nonce, &mut stream[2..consumed])
            .map_err(|_| Refused)?;
        let region = 2..consumed - 16;
        self.unread = (0, region.len());
        Ok(Step::Packed { region, consumed })
    }

    fn next_packed(&mut self, region: &[u8]) -> Result<Option<Range<usize>>, Refused> {
        let (at, end) = self.unread;
        if at == end {
            return Ok(None);
        }
        let message = at + 1..at + 1 + usize::from(region[at]);
        self.unread.0 = message.end;
        Ok(Some(message))
    }

    fn finish(&self, _: usize) -> Result<End, Refused> {
        Ok(End::Unauthenticated)
    }
}
