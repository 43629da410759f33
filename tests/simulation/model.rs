//! What one direction of a connection may deliver, by what its sender did.
//!
//! Where a call was given up it can be open what of it was sent: then there are several places in
//! the sequence that the receiver may be at, and whatever comes has to fit at one of them.

use std::collections::BTreeSet;

use ringseal::SendProgress;

/// One direction: what was sent, and how far the receiver is.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Decides the contents.
    key: u64,
    entries: Vec<Entry>,
    /// How many entries the receiver may be past.
    places: BTreeSet<usize>,
    next_number: u64,
    /// Bytes of messages that were sent for certain.
    sent_bytes: u64,
    delivered: u64,
    /// What the sender has given as reasons to leave.
    announced: Vec<u16>,
    /// What the sender says of itself.
    progress: Progress,
}

/// Numbers of messages, as [`SendProgress`](ringseal::SendProgress) has them.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    accepted: u64,
    flushed: u64,
}

/// A message, or what may have become one.
#[derive(Clone, Debug)]
struct Entry {
    /// Decides the contents, with the key.
    number: u64,
    /// Bytes; of a message in parts that is not complete, those that it may have at most.
    length: usize,
    state: State,
    /// Its contents, if they are not those that the number decides.
    given: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It arrives if everything does.
    Sent,
    /// Perhaps. If it doesn't, nothing before this entry does either.
    Open { until: usize },
    /// Has begun to leave in parts, and may have been given up.
    InParts,
}

impl Entry {
    /// Whether it may be `bytes` as a whole.
    fn is(&self, key: u64, bytes: &[u8]) -> bool {
        self.state != State::InParts && self.length == bytes.len() && self.begins_with(key, bytes)
    }

    /// Whether it may begin with `bytes`.
    fn begins_with(&self, key: u64, bytes: &[u8]) -> bool {
        if self.length < bytes.len() {
            return false;
        }
        match &self.given {
            Some(given) => given.starts_with(bytes),
            None => content(key, self.number, bytes.len()) == bytes,
        }
    }
}

impl Ledger {
    pub(crate) fn new(key: u64) -> Self {
        Self {
            key,
            entries: Vec::new(),
            places: BTreeSet::from([0]),
            next_number: 0,
            sent_bytes: 0,
            delivered: 0,
            announced: Vec::new(),
            progress: Progress::default(),
        }
    }

    fn push(&mut self, length: usize, state: State) -> usize {
        let number = self.next_number;
        self.next_number += 1;
        self.entries.push(Entry {
            number,
            length,
            state,
            given: None,
        });
        self.entries.len() - 1
    }

    /// Begins to send a message, and returns where it stands.
    pub(crate) fn begin(&mut self, length: usize) -> usize {
        let until = self.entries.len() + 1;
        self.push(length, State::Open { until })
    }

    /// Begins to send messages of which all, none, or the first few may leave.
    pub(crate) fn begin_batch(&mut self, lengths: &[usize]) -> core::ops::Range<usize> {
        let first = self.entries.len();
        let until = first + lengths.len();
        for length in lengths {
            self.push(*length, State::Open { until });
        }
        first..until
    }

    /// Begins to send a message with contents that are given: like others, or as it was received.
    pub(crate) fn begin_given(&mut self, message: &[u8]) -> usize {
        let until = self.entries.len() + 1;
        let place = self.push(message.len(), State::Open { until });
        self.entries[place].given = Some(message.to_vec());
        place
    }

    /// Begins a message in parts.
    pub(crate) fn begin_parts(&mut self) -> usize {
        self.push(0, State::InParts)
    }

    /// Says how many bytes of a message in parts may have left.
    pub(crate) fn grow(&mut self, place: usize, length: usize) {
        self.entries[place].length = length;
    }

    /// The message is sent.
    pub(crate) fn sent(&mut self, place: usize) {
        let entry = &mut self.entries[place];
        entry.state = State::Sent;
        self.sent_bytes += entry.length as u64;
    }

    /// A shorter one is sent.
    pub(crate) fn sent_shortened(&mut self, place: usize, length: usize) {
        self.grow(place, length);
        self.sent(place);
    }

    /// The message that was begun last was not sent.
    pub(crate) fn not_sent(&mut self, place: usize) {
        assert_eq!(place + 1, self.entries.len(), "it was begun last");
        self.entries.pop();
        self.places.retain(|past| *past <= place);
        assert!(
            !self.places.is_empty(),
            "a message has arrived that was given up before it was sent"
        );
    }

    /// Of the messages that were begun last, the first few were sent, and the sender says how many.
    pub(crate) fn sent_in_part(&mut self, batch: core::ops::Range<usize>, progress: SendProgress) {
        let sent = progress.accepted - self.sent_messages();
        let sent = usize::try_from(sent).expect("a number of messages");
        assert!(sent <= batch.len(), "more are sent than there are");
        let (first, last) = (batch.start, batch.end);
        for place in first..first + sent {
            self.sent(place);
        }
        for place in (first + sent..last).rev() {
            self.not_sent(place);
        }
    }

    /// Checks what the sender says of itself when no call is under way; `is_flushed` if a flush behind
    /// all messages was done.
    pub(crate) fn says(&mut self, progress: SendProgress, is_flushed: bool) {
        let SendProgress {
            accepted, flushed, ..
        } = progress;
        assert_eq!(accepted, self.sent_messages(), "messages that were sent");
        let before = self.progress.flushed;
        assert!(
            (before..=accepted).contains(&flushed) && (flushed == accepted || !is_flushed),
            "{flushed} of {accepted} messages are flushed, and {before} were"
        );
        self.progress = Progress { accepted, flushed };
    }

    /// Checks what the sender says of itself behind a failure.
    pub(crate) fn says_at_last(&mut self, progress: SendProgress) {
        let SendProgress {
            accepted, flushed, ..
        } = progress;
        assert!(
            accepted >= self.sent_messages()
                && (self.progress.flushed..=accepted).contains(&flushed),
            "{flushed} of {accepted} messages are flushed, {} were sent",
            self.sent_messages()
        );
        self.progress = Progress { accepted, flushed };
    }

    /// Checks that nothing has arrived that the sender does not know of.
    pub(crate) fn none_beyond(&self) {
        let (delivered, accepted) = (self.delivered, self.progress.accepted);
        assert!(
            delivered <= accepted,
            "{delivered} messages have arrived, and {accepted} were sent"
        );
    }

    fn sent_messages(&self) -> u64 {
        let is_sent = |entry: &&Entry| entry.state == State::Sent;
        self.entries.iter().filter(is_sent).count() as u64
    }

    /// Returns the first `length` bytes that a message would have.
    pub(crate) fn content(&self, place: usize, length: usize) -> Vec<u8> {
        content(self.key, self.entries[place].number, length)
    }

    /// Returns how many bytes of messages were sent for certain.
    pub(crate) const fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Returns how many messages came.
    pub(crate) const fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(crate) fn announce(&mut self, reason: u16) {
        self.announced.push(reason);
    }

    /// Checks a reason to leave that the receiver found.
    pub(crate) fn leaving(&self, reason: u16) {
        assert!(
            self.announced.contains(&reason),
            "the reason {reason} to leave was never given"
        );
    }

    /// Checks what the receiver has found at the end.
    pub(crate) fn left_for(&self, reason: Option<u16>) {
        assert_eq!(
            self.announced.last().copied(),
            reason,
            "the last reason to leave has to be there at the end"
        );
    }

    /// The places that the receiver may be at, once it is past what did not leave.
    fn reachable(&self) -> BTreeSet<usize> {
        let mut found = self.places.clone();
        let mut next = self.places.clone();
        while let Some(place) = next.pop_first() {
            let past = match self.entries.get(place).map(|entry| entry.state) {
                Some(State::Open { until }) => until,
                Some(State::InParts) => place + 1,
                Some(State::Sent) | None => continue,
            };
            if found.insert(past) {
                next.insert(past);
            }
        }
        found
    }

    fn advance(&mut self, what: &str, length: usize, fits: impl Fn(&Entry) -> bool) {
        let is_there = |place: &usize| self.entries.get(*place).is_some_and(&fits);
        let places: BTreeSet<usize> = (self.reachable().into_iter())
            .filter(is_there)
            .map(|place| place + 1)
            .collect();
        assert!(
            !places.is_empty(),
            "{what} of {length} bytes is not what was sent there; the receiver is past {:?} of {}: {:?}",
            self.places,
            self.entries.len(),
            self.entries
        );
        self.places = places;
    }

    /// A message came, whole or in all of its parts.
    pub(crate) fn message(&mut self, bytes: &[u8]) {
        let key = self.key;
        self.advance("a message", bytes.len(), |entry| entry.is(key, bytes));
        self.delivered += 1;
    }

    /// The receiver was told that the message is given up of which these bytes came.
    pub(crate) fn given_up(&mut self, bytes: &[u8]) {
        let key = self.key;
        if !bytes.is_empty() {
            self.advance("a message that was given up", bytes.len(), |entry| {
                entry.state == State::InParts && entry.begins_with(key, bytes)
            });
        }
    }

    /// The receiver has turned away from the message of which these bytes came.
    pub(crate) fn abandoned(&mut self, bytes: &[u8]) {
        let key = self.key;
        self.advance("the start of a message", bytes.len(), |entry| {
            entry.begins_with(key, bytes)
        });
    }

    /// The end came behind everything.
    pub(crate) fn complete(&self) {
        assert!(
            self.reachable().contains(&self.entries.len()),
            "the end came too early: the receiver is past {:?} of {}",
            self.places,
            self.entries.len()
        );
    }
}

/// Bytes that tell which message they are of.
fn content(key: u64, number: u64, length: usize) -> Vec<u8> {
    let mut state = key ^ number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = vec![0; length];
    for chunk in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
    bytes
}
