//! Clients that come in on two threads at once, and an admission that changes meanwhile.

use std::sync::Arc;

use loom::future::block_on;
use loom::thread;

use super::client_place::ClientPlace;
use super::entrance::Entrance;
use super::limits::ServerLimits;
use crate::handle::Distribution;
use crate::net::{Admission, Incoming, ListenError, Place, SocketListener};
use crate::protocol::identity::PublicKey;

const EVERYBODY: Admission = Admission { admits_all: true };
const NOBODY: Admission = Admission { admits_all: false };

/// Accepts so many clients by the one thread there is.
fn accept(entrance: &Arc<Entrance>, count: usize) -> Vec<Incoming> {
    let (distribution, mut inboxes) = Distribution::new([8]);
    let mut sockets = SocketListener { clients: count };
    let ended = block_on(distribution.run(&mut sockets, |incoming, seat| {
        let place = ClientPlace::take(entrance, incoming, seat)?;
        Some(Box::new(place) as Box<dyn Place>)
    }));
    assert_eq!(ended, Err(ListenError));
    let mut inbox = inboxes.pop().expect("one thread");
    core::iter::from_fn(|| inbox.try_recv().ok()).collect()
}

fn entrance(connections: usize) -> Arc<Entrance> {
    let limits = (ServerLimits::new().connections(connections))
        .connections_per_peer(connections)
        .connections_per_source(2 * connections);
    Arc::new(Entrance::new(limits, EVERYBODY))
}

/// Two handshakes end at once, and there is room for one connection: one gets it, the other is counted,
/// and when both are gone there is room again.
pub(crate) fn one_of_two_gets_the_last_room() {
    let entrance = entrance(1);
    let others = accept(&entrance, 2).into_iter().map(|client| {
        thread::spawn(move || {
            let mut place = client.place.expect("it was let in");
            let is_in = place.enter(&PublicKey(1), false).is_ok();
            (is_in, place)
        })
    });
    let others: Vec<_> = others.collect();
    let ended = others
        .into_iter()
        .map(|other| other.join().expect("no panic"));
    let ended: Vec<_> = ended.collect();
    assert_eq!(ended.iter().filter(|(is_in, _)| *is_in).count(), 1);
    let refused = entrance.refusals.snapshot();
    assert_eq!(refused.connections, 1);
    drop(ended);
    let again = accept(&entrance, 1).pop().expect("a client");
    let mut place = again.place.expect("it was let in");
    assert_eq!(place.enter(&PublicKey(1), false), Ok(()));
}

/// Two connections go at once while a third client comes in: no count is lost.
pub(crate) fn what_goes_on_two_threads_makes_room() {
    let entrance = entrance(2);
    let others: Vec<_> = (accept(&entrance, 2).into_iter())
        .map(|client| {
            thread::spawn(move || {
                let mut place = client.place.expect("it was let in");
                assert_eq!(place.enter(&PublicKey(1), false), Ok(()));
            })
        })
        .collect();
    for other in others {
        other.join().expect("no panic");
    }
    for mut place in (accept(&entrance, 2).into_iter()).filter_map(|client| client.place) {
        assert_eq!(place.enter(&PublicKey(1), false), Ok(()));
    }
}

/// The admission is replaced while a client comes: whoever was let in by the one before knows it.
pub(crate) fn who_came_by_the_admission_before_is_looked_at_again() {
    let entrance = entrance(2);
    let other = {
        let entrance = Arc::clone(&entrance);
        thread::spawn(move || entrance.set_admission(NOBODY))
    };
    let client = accept(&entrance, 1).pop();
    other.join().expect("no panic");
    if let Some(client) = client {
        let place = client.place.expect("it was let in");
        assert!(place.is_outdated(), "nobody will look at it again");
    }
}
