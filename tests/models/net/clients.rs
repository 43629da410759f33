//! Clients of a listener that come from nowhere.

use std::sync::PoisonError;

use super::place::Place;
use crate::sync::Mutex;

/// Where a client comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(pub(crate) u8);

/// Somebody who was accepted.
#[derive(Debug)]
pub(crate) struct Incoming {
    source: Source,
    pub(crate) place: Option<Box<dyn Place>>,
}

impl Incoming {
    pub(crate) fn set_place(&mut self, place: Box<dyn Place>) {
        self.place = Some(place);
    }

    pub(crate) fn refuse(self) {
        drop(self);
    }

    pub(crate) fn is_admitted_by(&self, admission: &Admission) -> bool {
        admission.admits_all
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }
}

/// Nobody else comes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListenError;

/// Gives as many clients as it is told, and then an error.
#[derive(Debug)]
pub(crate) struct SocketListener {
    pub(crate) clients: usize,
}

impl SocketListener {
    pub(crate) async fn accept(&mut self) -> Result<Incoming, ListenError> {
        self.clients = self.clients.checked_sub(1).ok_or(ListenError)?;
        Ok(Incoming {
            source: Source(1),
            place: None,
        })
    }
}

/// Lets everybody in or nobody.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    pub(crate) admits_all: bool,
}

#[derive(Debug)]
pub(crate) struct CurrentAdmission(Mutex<Admission>);

impl CurrentAdmission {
    pub(crate) fn new(admission: Admission) -> Self {
        Self(Mutex::new(admission))
    }

    pub(crate) fn get(&self) -> Admission {
        (self.0.lock().unwrap_or_else(PoisonError::into_inner)).clone()
    }

    pub(crate) fn set(&self, admission: Admission) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = admission;
    }
}

/// How a handshake ends that does not end well.
#[derive(Debug)]
pub(crate) struct AttemptError;

/// How handshakes have ended, as far as anybody asks here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HandshakeCounts {
    established: u64,
    failed: u64,
}

impl HandshakeCounts {
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            established: self.established + other.established,
            failed: self.failed + other.failed,
        }
    }
}

/// Returns the number that a handshake counts in.
pub(crate) fn of_attempt<T>(
    outcome: Result<T, &AttemptError>,
) -> Option<fn(&mut HandshakeCounts) -> &mut u64> {
    Some(match outcome {
        Ok(_) => |counts| &mut counts.established,
        Err(AttemptError) => |counts| &mut counts.failed,
    })
}

/// Of a runtime, which there is none of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statistics;

impl Statistics {
    pub(crate) fn plus(self, _: Self) -> Self {
        self
    }
}
