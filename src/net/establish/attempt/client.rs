//! A client whose handshake is under way, and what it is let in by, whatever the wire.

use core::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;

use super::handshake_io::Reader;
use crate::driver;
use crate::net::config::Config;
use crate::net::connection::link::Link;
use crate::net::error::AttemptError;
use crate::net::establish::address::Address;
use crate::net::establish::admission::{Admission, Applicant};
use crate::net::establish::connection_limit::ConnectionLimit;
use crate::net::establish::place::Place;
use crate::net::establish::progress::Progress;
use crate::net::thread::shard::Shard;
use crate::protocol::RefuseReason;
use crate::protocol::Wire;
use crate::protocol::identity::PublicKey;
use crate::protocol::native::handshake::ListenerSetup;

/// What all attempts of a listener have in common.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(super) config: Config,
    /// What the native wire computes once, if it is switched on.
    pub(super) native: Option<Arc<ListenerSetup>>,
}

impl Listening {
    pub(crate) fn new(config: &Config, shard: &Shard) -> Self {
        let (has_native, _) = config.kinds();
        Self {
            config: config.clone(),
            native: has_native.then(|| config.native_setup(shard.pool.slot_size())),
        }
    }
}

/// Who asks for a connection, and what is asked about it.
pub(crate) struct Asking<'a> {
    pub(crate) address: Address,
    pub(crate) admission: &'a Admission,
    pub(crate) place: Option<&'a mut (dyn Place + 'static)>,
}

/// A client whose handshake is under way.
pub(super) struct Client<'a> {
    pub(super) reader: Reader,
    pub(super) link: Rc<Link>,
    pub(super) asking: Asking<'a>,
    pub(super) listening: &'a Listening,
    pub(super) progress: &'a Progress,
}

/// Why a client that has proved its key is not let in, for it and for us.
pub(super) struct Denial {
    pub(super) reason: RefuseReason,
    pub(super) error: AttemptError,
}

impl Denial {
    fn no_room(peer: PublicKey, limit: ConnectionLimit) -> Self {
        Self {
            reason: limit.reason(),
            error: AttemptError::NoRoom { peer, limit },
        }
    }
}

impl Client<'_> {
    /// Waits for up to `wanted` bytes.
    pub(super) async fn read(&mut self, wanted: usize) -> Result<&[u8], AttemptError> {
        let is_unused = self.reader.is_unused();
        self.progress.wait(driver::now());
        let input = self.reader.read(&self.link, wanted).await;
        let input = input.map_err(|error| match error {
            AttemptError::UnexpectedEnd if is_unused => AttemptError::ClosedUnused,
            other => other,
        })?;
        self.progress.hear();
        Ok(input)
    }

    /// Returns the bytes that were read before the machine was there, `first` of them, or waits for
    /// others.
    pub(super) async fn next(
        &mut self,
        first: &mut usize,
        wanted: usize,
    ) -> Result<&[u8], AttemptError> {
        if core::mem::take(first) > 0 {
            return Ok(self.reader.last());
        }
        self.read(wanted).await
    }

    pub(super) async fn is_admitted(
        &self,
        key: PublicKey,
        wire: Wire,
    ) -> Result<bool, AttemptError> {
        let applicant = Applicant {
            key,
            address: self.asking.address.clone(),
            wire,
        };
        AssertUnwindSafe(self.asking.admission.admits(applicant))
            .catch_unwind()
            .await
            .map_err(|_| AttemptError::AdmissionPanicked)
    }

    /// Whether there may be room for a connection of `peer`, which is only claimed as yet.
    pub(super) fn check_room(&self, peer: PublicKey) -> Result<(), Denial> {
        let place = self.asking.place.as_ref();
        let checked = place.map_or(Ok(()), |place| place.check(&peer));
        checked.map_err(|limit| Denial::no_room(peer, limit))
    }

    /// Takes the room for a connection of `peer`, which is proved, and may believe to be in.
    pub(super) fn take_room(
        &mut self,
        peer: PublicKey,
        believes_to_be_in: bool,
    ) -> Result<(), Denial> {
        let place = self.asking.place.as_mut();
        let entered = place.map_or(Ok(()), |place| place.enter(&peer, believes_to_be_in));
        entered.map_err(|limit| Denial::no_room(peer, limit))
    }

    /// Lets `peer` in, which is proved, if it is admitted and there is room.
    pub(super) fn let_in(
        &mut self,
        peer: PublicKey,
        is_admitted: Result<bool, AttemptError>,
    ) -> Result<(), Denial> {
        let not_admitted = |error| Denial {
            reason: RefuseReason::NOT_ADMITTED,
            error,
        };
        match is_admitted {
            Ok(true) => {}
            Ok(false) => return Err(not_admitted(AttemptError::NotAdmitted { peer })),
            Err(error) => return Err(not_admitted(error)),
        }
        self.take_room(peer, false)
    }
}
