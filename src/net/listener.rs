//! Accepting connections: handshakes run side by side, so that a silent client holds up nobody.

use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Context as TaskContext, Poll, Waker};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::address::Address;
use super::admission::Admission;
use super::attempt;
use super::config::Config;
use super::connection::Connection;
use super::context::Context;
use super::error::{AcceptError, AttemptError, BindError};
use super::link::Link;
use crate::ring::{self, Acceptor, Task};

/// The first pause after accept failed for want of descriptors, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

type Outcome = Result<Connection, AcceptError>;
type Attempt = Pin<Box<dyn Future<Output = Outcome>>>;

/// Listens for connections.
///
/// Handshakes go on in the background, at most [`Config::max_handshakes`] at a time counting the
/// outcomes that nobody has taken yet. Dropping the listener ends them and closes the port.
#[derive(Debug)]
pub struct Listener {
    outcomes: Rc<Outcomes>,
    address: Address,
    task: Task<()>,
}

/// What the background task has for [`Listener::accept`].
#[derive(Debug, Default)]
struct Outcomes {
    ready: RefCell<VecDeque<Outcome>>,
    /// Waits for an outcome.
    accept: RefCell<Option<Waker>>,
    /// Waits for room.
    task: RefCell<Option<Waker>>,
}

impl Listener {
    /// Binds `address` and starts to accept. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// [`BindError`]. A port in use is an error; it is never shared.
    pub async fn bind(
        address: impl Into<Address>,
        config: &Config,
        admission: Admission,
    ) -> Result<Self, BindError> {
        let context = Context::current()
            .filter(Context::is_running)
            .ok_or(BindError::OutsideRuntime)?;
        let name = address.into();
        let ring = Rc::clone(&context.ring);
        let candidates = name.resolve().await.map_err(|source| BindError::Resolve {
            name: name.to_string(),
            source,
        })?;
        let bound = async {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for candidate in candidates {
                match Acceptor::bind(&ring, &candidate, name.path_options()) {
                    Ok(acceptor) => return Ok((acceptor.local_endpoint()?.into(), acceptor)),
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let (address, acceptor) = bound.await.map_err(|source| BindError::Bind {
            address: name.to_string(),
            source,
        })?;
        let outcomes = Rc::new(Outcomes::default());
        let task = ring::spawn(
            Background {
                context,
                acceptor,
                config: config.clone(),
                admission,
                outcomes: Rc::clone(&outcomes),
            }
            .run(),
        );
        Ok(Self {
            outcomes,
            address,
            task,
        })
    }

    /// Returns the address that is listened on, with the port that was taken.
    pub fn local_address(&self) -> Address {
        self.address.clone()
    }

    /// Returns the next connection whose peer has proved an admitted identity.
    ///
    /// # Errors
    ///
    /// [`AcceptError`] tells of one client that failed to become a connection; call again for
    /// the next.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no connection.
    pub async fn accept(&mut self) -> Result<Connection, AcceptError> {
        poll_fn(|context| self.outcomes.poll_take(context)).await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Outcomes {
    fn poll_take(&self, context: &mut TaskContext<'_>) -> Poll<Outcome> {
        let outcome = self.ready.borrow_mut().pop_front();
        let Some(outcome) = outcome else {
            *self.accept.borrow_mut() = Some(context.waker().clone());
            return Poll::Pending;
        };
        let waker = self.task.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Ready(outcome)
    }

    fn put(&self, outcome: Outcome) {
        self.ready.borrow_mut().push_back(outcome);
        let waker = self.accept.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What the background task works with.
struct Background {
    context: Rc<Context>,
    acceptor: Acceptor,
    config: Config,
    admission: Admission,
    outcomes: Rc<Outcomes>,
}

impl Background {
    async fn run(self) {
        let mut attempts: FuturesUnordered<Attempt> = FuturesUnordered::new();
        let mut accepting = Box::pin(self.next_client());
        poll_fn(|context| -> Poll<()> {
            *self.outcomes.task.borrow_mut() = Some(context.waker().clone());
            loop {
                while let Poll::Ready(Some(outcome)) = attempts.poll_next_unpin(context) {
                    self.outcomes.put(outcome);
                }
                let waiting = self.outcomes.ready.borrow().len();
                if attempts.len() + waiting >= self.config.handshakes() {
                    return Poll::Pending;
                }
                let Poll::Ready((link, address)) = accepting.as_mut().poll(context) else {
                    return Poll::Pending;
                };
                attempts.push(self.attempt(link, address));
                accepting.set(self.next_client());
            }
        })
        .await;
    }

    /// Accepts, with pauses while descriptors are short.
    async fn next_client(&self) -> (Rc<Link>, Address) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.acceptor.accept().await {
                Ok((descriptor, endpoint)) => {
                    let address = endpoint.map_or(Address::Unnamed, Address::from);
                    match Link::new(Rc::clone(&self.context), descriptor) {
                        Ok(link) => return (link, address),
                        Err(error) => tracing::debug!(%error, "a client's socket is unusable"),
                    }
                }
                // A client that has gone again is no reason to pause.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if pause == FIRST_PAUSE {
                        tracing::warn!(%error, "cannot accept; pausing until it works again");
                    }
                    ring::sleep(pause).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    fn attempt(&self, link: Rc<Link>, address: Address) -> Attempt {
        let config = self.config.clone();
        let admission = self.admission.clone();
        Box::pin(async move {
            let handshake = attempt::listen(link, address.clone(), &config, &admission);
            let guarded =
                AssertUnwindSafe(attempt::within(config.deadline(), handshake)).catch_unwind();
            guarded
                .await
                .unwrap_or(Err(AttemptError::AdmissionPanicked))
                .map_err(|reason| AcceptError { address, reason })
        })
    }
}
