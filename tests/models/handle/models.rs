//! What a caller and a ring thread do to each other, and two threads that clients are given to.

use core::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use loom::future::block_on;
use loom::thread;

use super::batch::{Fragment, Kind};
use super::distribution::{Distribution, Seat};
use super::error::RemoteError;
use super::incoming::{Incoming, Taken};
use super::limits::QueueLimits;
use super::outgoing::Outgoing;
use crate::net::{
    Arrivals, ListenError, Place, Receiver, SendError, Sender, Sent, SocketListener, Wire,
};

const MESSAGES: [&[u8]; 2] = [b"first", b"second"];

/// Bounds in which one message has room.
fn narrow() -> QueueLimits {
    QueueLimits::default().messages(1)
}

async fn send(outgoing: &Outgoing, message: &'static [u8]) -> Result<(), RemoteError<SendError>> {
    send_fragment(outgoing, Kind::Whole, message).await
}

async fn send_fragment(
    outgoing: &Outgoing,
    kind: Kind,
    bytes: &'static [u8],
) -> Result<(), RemoteError<SendError>> {
    let bytes = Bytes::from_static(bytes);
    let mut fragment = Some(Fragment { bytes, kind });
    poll_fn(|context| outgoing.poll_send(context, &mut fragment)).await
}

async fn close(outgoing: &Outgoing) -> Result<(), RemoteError<SendError>> {
    poll_fn(|context| outgoing.poll_close(context)).await
}

/// Has a thread send what a queue takes.
fn emptied_by_another(outgoing: &Arc<Outgoing>, sender: Sender) -> thread::JoinHandle<()> {
    let outgoing = Arc::clone(outgoing);
    thread::spawn(move || block_on(outgoing.empty_into(sender)))
}

fn outgoing() -> Arc<Outgoing> {
    Arc::new(Outgoing::new(narrow(), 100, true))
}

fn messages_of(wire: &Wire) -> Vec<Bytes> {
    let is_message = |sent| match sent {
        Sent::Message(message) => Some(message),
        _ => None,
    };
    wire.sent().into_iter().filter_map(is_message).collect()
}

/// A caller sends more than the queue has room for, and closes: everything leaves once, in order, and the
/// end behind it.
pub(crate) fn what_is_sent_leaves_in_order_and_the_end_behind_it() {
    let (outgoing, wire) = (outgoing(), Wire::default());
    let other = emptied_by_another(&outgoing, Sender::new(&wire));
    block_on(async {
        for message in MESSAGES {
            send(&outgoing, message).await.expect("it takes messages");
        }
        close(&outgoing).await.expect("it ends in order");
    });
    assert_eq!(messages_of(&wire), MESSAGES);
    other.join().expect("no panic");
    let sent = wire.sent();
    assert_eq!(sent[2..], [Sent::End, Sent::Drop]);
}

/// A message that is given up between two of its parts is told of as that, before the next one, and at
/// once.
pub(crate) fn a_message_that_is_given_up_is_told_of_before_the_next() {
    let (outgoing, wire) = (outgoing(), Wire::default());
    let other = emptied_by_another(&outgoing, Sender::new(&wire));
    block_on(async {
        outgoing.begin_message().expect("a wire with parts");
        let part = send_fragment(&outgoing, Kind::Part, MESSAGES[0]).await;
        part.expect("it takes parts");
        outgoing.give_message_up();
        close(&outgoing).await.expect("it ends in order");
    });
    other.join().expect("no panic");
    let part = Sent::Part(Bytes::from_static(MESSAGES[0]));
    let expected = [part, Sent::GivenUp, Sent::End, Sent::Drop];
    assert_eq!(wire.sent(), expected);
}

/// A flush returns when the kernel has all that was sent before it, and not earlier.
pub(crate) fn a_flush_is_told_when_everything_has_left() {
    let (outgoing, wire) = (outgoing(), Wire::default());
    let other = emptied_by_another(&outgoing, Sender::new(&wire));
    block_on(async {
        send(&outgoing, MESSAGES[0])
            .await
            .expect("it takes messages");
        let flushed = poll_fn(|context| outgoing.poll_flush(context)).await;
        flushed.expect("it sends");
    });
    let sent = wire.sent();
    let message = Sent::Message(Bytes::from_static(MESSAGES[0]));
    assert_eq!(sent, [message, Sent::Flush]);
    outgoing.drop_sender();
    outgoing.drop_receiver();
    other.join().expect("no panic");
}

/// Both halves are dropped while the peer does not read: the task ends, whatever it was at.
pub(crate) fn a_task_ends_when_both_halves_are_dropped() {
    let (outgoing, wire) = (outgoing(), Wire::default());
    let other = emptied_by_another(&outgoing, Sender::halted(&wire));
    block_on(send(&outgoing, MESSAGES[0])).expect("it takes messages");
    outgoing.drop_sender();
    outgoing.drop_receiver();
    other.join().expect("no panic");
    assert_eq!(wire.sent(), [Sent::Drop]);
}

/// Only the sender is dropped: what it has sent still leaves.
pub(crate) fn what_a_dropped_sender_has_sent_leaves() {
    let (outgoing, wire) = (outgoing(), Wire::default());
    let other = emptied_by_another(&outgoing, Sender::new(&wire));
    block_on(send(&outgoing, MESSAGES[0])).expect("it takes messages");
    outgoing.drop_sender();
    other.join().expect("no panic");
    assert_eq!(messages_of(&wire), MESSAGES[..1]);
}

/// The connection fails while the caller waits for room or for the end: it is told, and once by the cause.
pub(crate) fn a_caller_is_told_that_the_connection_has_failed() {
    let (outgoing, wire) = (outgoing(), Wire::default());
    let other = emptied_by_another(&outgoing, Sender::failing_after(&wire, 0));
    let errors = block_on(async {
        let mut errors = Vec::new();
        for message in MESSAGES {
            errors.extend(send(&outgoing, message).await.err());
        }
        errors.extend(close(&outgoing).await.err());
        errors
    });
    let causes = errors
        .iter()
        .filter(|error| **error == SendError::Transport.into());
    assert_eq!(causes.count(), 1, "{errors:?}");
    other.join().expect("no panic");
    assert!(messages_of(&wire).is_empty());
}

/// Takes everything until the end.
async fn receive_all(incoming: &Incoming) -> Vec<Bytes> {
    let mut taken = Taken::default();
    let mut received = Vec::new();
    loop {
        let result = poll_fn(|context| incoming.poll_take(context, &mut taken)).await;
        result.expect("it ends in order");
        let before = received.len();
        while let Some(message) = taken.pop() {
            received.push(message.bytes);
        }
        if received.len() == before {
            return received;
        }
    }
}

fn filled_by_another(incoming: &Arc<Incoming>, arrivals: Arrivals) -> thread::JoinHandle<()> {
    let incoming = Arc::clone(incoming);
    thread::spawn(move || block_on(incoming.fill_from(Box::new(Receiver::new(arrivals)))))
}

fn arriving() -> impl Iterator<Item = Bytes> {
    MESSAGES.into_iter().map(Bytes::from_static)
}

/// More comes than the queue has room for: the caller gets it once, in order, and the end behind it.
pub(crate) fn what_comes_is_received_in_order_and_the_end_behind_it() {
    let incoming = Arc::new(Incoming::new(narrow()));
    let other = filled_by_another(&incoming, Arrivals::OneByOne(arriving().collect()));
    assert_eq!(block_on(receive_all(&incoming)), MESSAGES);
    other.join().expect("no panic");
}

/// Several messages of one read wait together.
pub(crate) fn what_comes_together_is_received_in_order() {
    let incoming = Arc::new(Incoming::new(QueueLimits::default()));
    let other = filled_by_another(&incoming, Arrivals::Together(arriving().collect()));
    assert_eq!(block_on(receive_all(&incoming)), MESSAGES);
    other.join().expect("no panic");
}

/// What comes while something waits goes behind it.
pub(crate) fn what_comes_later_waits_behind_what_came_before() {
    let incoming = Arc::new(Incoming::new(QueueLimits::default()));
    let other = filled_by_another(&incoming, Arrivals::OneByOne(arriving().collect()));
    assert_eq!(block_on(receive_all(&incoming)), MESSAGES);
    other.join().expect("no panic");
}

/// The receiver is dropped while the task waits for its peer, or for room.
pub(crate) fn a_task_ends_when_the_receiver_is_dropped() {
    for arrivals in [Arrivals::Nothing, Arrivals::OneByOne(arriving().collect())] {
        let incoming = Arc::new(Incoming::new(narrow()));
        let other = filled_by_another(&incoming, arrivals);
        incoming.drop_receiver();
        other.join().expect("no panic");
    }
}

/// Lets everybody in.
fn seated(seat: Seat) -> Option<Box<dyn Place>> {
    Some(Box::new(seat))
}

/// A thread has no room until one of its handshakes has ended: whoever accepts goes on then, and nothing
/// is counted that is gone.
pub(crate) fn who_accepts_is_woken_when_a_client_has_gone() {
    let (distribution, mut inboxes) = Distribution::new([1]);
    let mut inbox = inboxes.pop().expect("one thread");
    let other = thread::spawn(move || {
        for _ in 0..2 {
            let client = block_on(inbox.next()).expect("a client");
            drop(client);
        }
        inbox
    });
    // The third comes only when the first or the second has gone.
    let mut sockets = SocketListener { clients: 3 };
    let ended = block_on(distribution.run(&mut sockets, |_, seat| seated(seat)));
    assert_eq!(ended, Err(ListenError));
    let mut inbox = other.join().expect("no panic");
    assert_eq!(distribution.load(0), (0, 1));
    drop(inbox.try_recv().expect("the third"));
    assert_eq!(distribution.load(0), (0, 0));
}

/// Handshakes end well and connections go on two threads at once: none is lost from the counts.
pub(crate) fn the_counts_of_a_thread_come_to_nothing() {
    let (distribution, mut inboxes) = Distribution::new([8]);
    let mut inbox = inboxes.pop().expect("one thread");
    let mut sockets = SocketListener { clients: 2 };
    let ended = block_on(distribution.run(&mut sockets, |_, seat| seated(seat)));
    assert_eq!(ended, Err(ListenError));
    let others = [(); 2].map(|()| {
        let client = inbox.try_recv().expect("a client");
        thread::spawn(move || {
            let mut place = client.place.expect("it has one");
            let key = crate::protocol::identity::PublicKey(1);
            place.enter(&key, false).expect("a seat has no limits");
        })
    });
    for other in others {
        other.join().expect("no panic");
    }
    assert_eq!(distribution.load(0), (0, 0));
}

/// The last thread ends while somebody waits for room there.
pub(crate) fn who_accepts_ends_with_the_last_thread() {
    let (distribution, inboxes) = Distribution::new([1]);
    let distribution = Arc::new(distribution);
    let other = {
        let distribution = Arc::clone(&distribution);
        thread::spawn(move || distribution.close_thread(0))
    };
    let mut sockets = SocketListener { clients: 3 };
    let ended = block_on(distribution.run(&mut sockets, |_, seat| seated(seat)));
    assert_eq!(ended, Ok(()));
    other.join().expect("no panic");
    drop(inboxes);
}
