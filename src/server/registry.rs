//! The connections that a thread serves, for what is done to all of them.

use core::cell::RefCell;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use slab::Slab;

use crate::driver::timeout;
use crate::net::{About, Admission, Connection, ConnectionControl};

/// Peers about whom an admission is asked at a time.
const ASKED_AT_A_TIME: usize = 64;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Registry>>> = const { RefCell::new(None) };
}

/// A connection that is served.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) control: ConnectionControl,
    about: Arc<About>,
}

impl Member {
    pub(super) fn new(connection: &Connection) -> Self {
        Self {
            control: connection.control(),
            about: Arc::clone(connection.about()),
        }
    }

    /// Whether `admission` lets the peer in. Who does not say so within `limit`, or panics, says no.
    pub(super) async fn is_admitted(&self, admission: &Admission, limit: Duration) -> bool {
        let credentials = self.control.peer_credentials();
        if !admission.admits_source(&self.about.address, credentials) {
            return false;
        }
        let asked = AssertUnwindSafe(admission.admits(self.about.applicant())).catch_unwind();
        matches!(timeout(limit, asked).await, Some(Ok(true)))
    }
}

/// The connections of one thread.
#[derive(Debug, Default)]
pub(super) struct Registry {
    members: RefCell<Slab<Member>>,
}

impl Registry {
    /// Makes the one of this thread.
    pub(super) fn start() -> Rc<Self> {
        let registry = Rc::<Self>::default();
        CURRENT.set(Some(Rc::clone(&registry)));
        registry
    }

    /// Returns the one of this thread.
    pub(super) fn current() -> Option<Rc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    pub(super) fn enter(self: &Rc<Self>, member: Member) -> Entry {
        Entry {
            registry: Rc::clone(self),
            key: self.members.borrow_mut().insert(member),
        }
    }

    /// Asks all peers to begin nothing new and then to end, where their wire has that.
    pub(super) fn announce_leaving(&self, reason: u16) {
        for (_, member) in &*self.members.borrow() {
            member.control.announce_leaving(reason);
        }
    }

    /// Cuts the connections of those whom `admission` does not let in; returns how many that were.
    pub(super) async fn drop_unadmitted(&self, admission: &Admission, limit: Duration) -> usize {
        let members: Vec<Member> = (self.members.borrow().iter())
            .map(|(_, member)| member.clone())
            .collect();
        // A check may take its time, and others are not to stay for as long.
        let mut asked = stream::iter(members)
            .map(|member| async move {
                let is_admitted = member.is_admitted(admission, limit).await;
                !is_admitted && member.control.cut()
            })
            .buffer_unordered(ASKED_AT_A_TIME);
        let mut count = 0;
        while let Some(is_cut) = asked.next().await {
            count += usize::from(is_cut);
        }
        count
    }
}

/// A connection's entry, which goes when this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    registry: Rc<Registry>,
    key: usize,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let member = self.registry.members.borrow_mut().try_remove(self.key);
        drop(member);
    }
}
