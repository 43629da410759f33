//! Accepting connections: handshakes run side by side, so that a silent client holds up nobody.

use core::cell::{Cell, RefCell};
use core::future::{Future, pending, poll_fn};
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::stream::Stream;

use super::accepted::Accepted;
use super::address::Address;
use super::admission::{Admission, CurrentAdmission};
use super::attempt::Listening;
use super::handshakes::{GivenUp, Handshakes, Limits, Step};
use super::incoming::Incoming;
use super::outcome::{count_accepted, count_attempt};
use super::progress::Progress;
use super::socket_listener::SocketListener;
use crate::driver::{
    self, Acceptor, BindOptions, DriverError, ProcessMark, Task, Waiting, WakerCell,
};
use crate::net::config::Config;
use crate::net::connection::Connection;
use crate::net::error::{AcceptError, AttemptError, BindError};
use crate::net::thread::shard::Shard;

/// How long the handshakes are worked on before the rest of the thread has its turn.
const WORK: Duration = Duration::from_millis(4);
/// How long that is at least. Only a true wait is one in which every driver enters the kernel.
const REST: Duration = Duration::from_micros(100);

type Outcome = Result<Accepted, AcceptError>;

/// Listens for connections.
///
/// Handshakes go on in the background, at most [`Config::max_handshakes`] at a time counting the
/// outcomes that nobody has taken yet. Dropping the listener ends them and closes the port.
///
/// [`Admission::filter`] refuses clients by their address before any work is spent on them. To see
/// to each client by hand, and on which thread it is served, take a [`SocketListener`].
#[derive(Debug)]
pub struct Listener {
    outcomes: Rc<Outcomes>,
    admission: CurrentAdmission,
    /// One at least.
    addresses: Vec<Address>,
    /// Closed with the listener. They are the task's, and go with it when the runtime ends.
    acceptors: Weak<[Acceptor]>,
    task: Task<()>,
    process: ProcessMark,
}

/// What the background task has for [`Listener::accept`].
#[derive(Debug, Default)]
struct Outcomes {
    ready: RefCell<VecDeque<Outcome>>,
    /// Whether there will be no others.
    is_over: Cell<bool>,
    /// Who is not waited for any more.
    given_up: Cell<GivenUp>,
    /// Waits for an outcome.
    accept: WakerCell,
    /// Waits for room.
    task: WakerCell,
}

impl Listener {
    /// Binds `address` and starts to accept. Port 0 takes a free one. Where the address stands for
    /// several, all of them are bound, with the same port if that is 0.
    ///
    /// # Errors
    ///
    /// [`BindError`]; then nothing stays bound. A port in use is an error. A name has to be resolved
    /// within [`Config::handshake_deadline`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future binds nothing.
    pub async fn bind(
        address: impl Into<Address>,
        config: &Config,
        admission: Admission,
    ) -> Result<Self, BindError> {
        Self::bind_with(address, &BindOptions::default(), config, admission).await
    }

    /// Binds `address` as [`bind`](Self::bind) does, with options of your own.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind). A port that somebody has is an error unless both share it; see
    /// [`BindOptions::share_port`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future binds nothing.
    pub async fn bind_with(
        address: impl Into<Address>,
        options: &BindOptions,
        config: &Config,
        admission: Admission,
    ) -> Result<Self, BindError> {
        check_limits(config)?;
        let deadline = config.deadline();
        let sockets = SocketListener::bind_within(deadline, address.into(), options).await?;
        Self::over(sockets, config, admission)
    }

    /// Accepts the clients of `sockets`, and shakes hands with them.
    ///
    /// # Errors
    ///
    /// [`BindError::OutsideRuntime`] outside the runtime that `sockets` were bound in, and
    /// [`BindError::ZeroLimit`]. Then they are closed.
    pub fn over(
        sockets: SocketListener,
        config: &Config,
        admission: Admission,
    ) -> Result<Self, BindError> {
        check_limits(config)?;
        let shard = Rc::clone(sockets.shard());
        if !shard.is_running() {
            return Err(BindError::OutsideRuntime);
        }
        let addresses = sockets.local_addresses().to_vec();
        let admission = CurrentAdmission::new(admission);
        let acceptors = sockets.acceptors();
        let clients = sockets.into_clients();
        Ok(Self::start(
            shard, addresses, acceptors, clients, config, admission,
        ))
    }

    /// Takes a socket that listens already; see [`SocketListener::from_std`].
    ///
    /// # Errors
    ///
    /// As for [`SocketListener::from_std`] and [`over`](Self::over).
    pub fn from_std(
        socket: impl Into<OwnedFd>,
        config: &Config,
        admission: Admission,
    ) -> Result<Self, BindError> {
        Self::over(SocketListener::from_std(socket)?, config, admission)
    }

    /// Shakes hands with `clients`, who were accepted at `addresses`, one at least. When no more come
    /// and the last handshake is over, [`next`](Self::next) says so.
    ///
    /// # Errors
    ///
    /// [`BindError::OutsideRuntime`].
    pub(crate) fn of_clients(
        clients: impl Stream<Item = Incoming> + 'static,
        addresses: Vec<Address>,
        config: &Config,
        admission: CurrentAdmission,
    ) -> Result<Self, BindError> {
        let shard = Shard::current()
            .filter(Shard::is_running)
            .ok_or(BindError::OutsideRuntime)?;
        let acceptors = Rc::default();
        Ok(Self::start(
            shard, addresses, acceptors, clients, config, admission,
        ))
    }

    fn start(
        shard: Rc<Shard>,
        addresses: Vec<Address>,
        acceptors: Rc<[Acceptor]>,
        clients: impl Stream<Item = Incoming> + 'static,
        config: &Config,
        admission: CurrentAdmission,
    ) -> Self {
        let outcomes = Rc::new(Outcomes::default());
        let background = Background {
            address: addresses[0].clone(),
            acceptors: Rc::clone(&acceptors),
            failed: shard.driver.failed(),
            clients: Box::pin(clients),
            are_clients_over: false,
            newcomer: None,
            handshakes: Handshakes::new(Limits {
                deadline: config.deadline(),
                first_message: config.first_message(),
                count: config.handshakes(),
            }),
            listening: Rc::new(Listening::new(config, &shard)),
            admission: admission.clone(),
            handshake_limit: config.handshakes(),
            shard,
            outcomes: Rc::clone(&outcomes),
            rest: None,
        };
        let task = driver::spawn(background.run());
        Self {
            outcomes,
            admission,
            addresses,
            acceptors: Rc::downgrade(&acceptors),
            task,
            process: ProcessMark::current(),
        }
    }

    /// Returns the address that is listened on, with the port that was taken; the first one where
    /// there are several.
    pub fn local_address(&self) -> Address {
        self.addresses[0].clone()
    }

    /// Returns all addresses that are listened on.
    pub fn local_addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Replaces who may connect: every handshake that begins after this call goes by `admission`, its
    /// filter and its keys, and none goes by parts of both.
    ///
    /// Handshakes under way end by what they began with, so within [`Config::handshake_deadline`]
    /// after the call [`accept`](Self::accept) may still give a connection that `admission` would
    /// refuse, and connections that nobody has taken yet stay. Whoever must not let such a peer in
    /// looks at [`Connection::peer`] too. Established connections go on.
    ///
    /// In a forked child it does nothing: the listener is the parent's.
    pub fn set_admission(&self, admission: Admission) {
        if !self.process.is_inherited() {
            self.admission.set(admission);
        }
    }

    /// Returns the next connection whose peer has proved an admitted identity.
    ///
    /// # Errors
    ///
    /// [`AcceptError`] tells of one client that failed to become a connection; call again for
    /// the next. When the driver of the runtime fails, one says so; nobody can come after that, and
    /// another call waits for good.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no connection.
    pub async fn accept(&mut self) -> Result<Connection, AcceptError> {
        if self.process.is_inherited() {
            let reason = AttemptError::Transport(DriverError::Forked.into());
            let address = self.local_address();
            return Err(AcceptError { address, reason });
        }
        match self.next().await {
            Some(outcome) => outcome.map(|accepted| accepted.connection),
            None => pending().await,
        }
    }

    /// Begins no more handshakes, and ends some of those that are under way;
    /// [`next`](Self::next) tells of each.
    pub(crate) fn give_up(&self, given_up: GivenUp) {
        self.outcomes.given_up.set(given_up);
        self.outcomes.task.wake();
    }

    /// Returns the outcome of the next handshake; `None` when there will be no other.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Outcome> {
        poll_fn(|context| self.outcomes.poll_next(context)).await
    }
}

/// # Errors
///
/// [`BindError::ZeroLimit`].
pub(crate) fn check_limits(config: &Config) -> Result<(), BindError> {
    match config.zero_limit() {
        Some(limit) => Err(BindError::ZeroLimit { limit }),
        None => Ok(()),
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if !self.process.is_inherited() {
            self.task.abort();
            // The task is dropped when the thread turns to it, which may be later.
            if let Some(acceptors) = self.acceptors.upgrade() {
                acceptors.iter().for_each(Acceptor::close);
            }
        }
    }
}

impl Outcomes {
    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let outcome = self.ready.borrow_mut().pop_front();
        let Some(outcome) = outcome else {
            if self.is_over.get() {
                return Poll::Ready(None);
            }
            self.accept.set(context.waker());
            return Poll::Pending;
        };
        self.task.wake();
        Poll::Ready(Some(outcome))
    }

    /// Notes that there will be no others.
    fn end(&self) {
        self.is_over.set(true);
        self.accept.wake();
    }

    /// Returns how many nobody has taken yet.
    fn count(&self) -> usize {
        self.ready.borrow().len()
    }

    fn set_task(&self, context: &Context<'_>) {
        self.task.set(context.waker());
    }

    fn put(&self, outcome: Outcome) {
        self.ready.borrow_mut().push_back(outcome);
        self.accept.wake();
    }
}

/// What the background task works with.
struct Background {
    shard: Rc<Shard>,
    /// The first one that is listened on.
    address: Address,
    acceptors: Rc<[Acceptor]>,
    /// Has the task woken when the driver fails.
    failed: Waiting,
    clients: Pin<Box<dyn Stream<Item = Incoming>>>,
    /// Whether no more come.
    are_clients_over: bool,
    /// Who came and found no room.
    newcomer: Option<Newcomer>,
    handshakes: Handshakes<Accepted>,
    listening: Rc<Listening>,
    admission: CurrentAdmission,
    handshake_limit: usize,
    outcomes: Rc<Outcomes>,
    rest: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

struct Newcomer {
    client: Incoming,
    /// What its filter has let the client in.
    admission: Admission,
    /// Whether another has made way for it already.
    has_displaced: bool,
    /// Whether it has waited for room, in which time the admission may have changed.
    has_waited: bool,
}

impl Background {
    async fn run(mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    /// Works on the handshakes, and lets the other tasks of the thread have their turn in between.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.outcomes.set_task(context);
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.rest = None;
        }
        if Pin::new(&mut self.failed).poll(context).is_ready() {
            self.give_up(GivenUp::Everybody, context);
            self.tell_of_failure();
            return Poll::Ready(());
        }
        self.give_up(self.outcomes.given_up.get(), context);
        let mut start = Instant::now();
        loop {
            // In this order, since a newcomer may have to be looked at again at a certain time, and
            // a step without work sets the alarm for it.
            let has_admitted = self.admit(context);
            let has_worked = self.step(context);
            if !has_worked && !has_admitted {
                if self.is_over() {
                    self.outcomes.end();
                    return Poll::Ready(());
                }
                return Poll::Pending;
            }
            if start.elapsed() >= WORK {
                let rest = self.rest.insert(Box::pin(driver::sleep(REST)));
                ready!(rest.as_mut().poll(context));
                self.rest = None;
                start = Instant::now();
            }
        }
    }

    /// Whether nobody comes any more and the last handshake is over.
    fn is_over(&self) -> bool {
        self.are_clients_over && self.newcomer.is_none() && self.handshakes.len() == 0
    }

    /// Ends handshakes before their time, and of clients that wait for theirs, and tells of each.
    fn give_up(&mut self, given_up: GivenUp, context: &mut Context<'_>) {
        if given_up == GivenUp::Nobody {
            return;
        }
        let mut waiting = self.newcomer.take().map(|newcomer| newcomer.client);
        loop {
            if let Some(client) = waiting.take() {
                let address = client.address().clone();
                // Before somebody is told that it has gone.
                drop(client);
                let reason = AttemptError::ListenerEnded;
                self.put(Err(AcceptError { address, reason }));
            }
            if self.are_clients_over {
                break;
            }
            match self.clients.as_mut().poll_next(context) {
                Poll::Ready(Some(client)) => waiting = Some(client),
                Poll::Ready(None) => self.are_clients_over = true,
                // Who comes now is given up when the task is woken for it.
                Poll::Pending if given_up == GivenUp::Unproven => break,
                Poll::Pending => self.are_clients_over = true,
            }
        }
        for error in self.handshakes.give_up(given_up) {
            self.put(Err(error));
        }
    }

    /// Tells whoever accepts that the driver has failed, after which nobody can be accepted.
    fn tell_of_failure(&self) {
        if let Err(error) = self.shard.driver.check() {
            let reason = AttemptError::Transport(error.into());
            let address = self.address.clone();
            self.outcomes.put(Err(AcceptError { address, reason }));
        }
        self.outcomes.end();
        self.acceptors.iter().for_each(Acceptor::close);
    }

    /// Counts how a handshake has ended, and has it accepted.
    fn put(&self, outcome: Outcome) {
        count_accepted(&self.shard, &outcome);
        self.outcomes.put(outcome);
    }

    /// Works on one handshake; returns whether there may be more to do.
    fn step(&mut self, context: &mut Context<'_>) -> bool {
        match self.handshakes.step(context) {
            Step::Ended(outcome) => self.put(outcome),
            Step::Worked => {}
            Step::Waits => return false,
        }
        true
    }

    /// Begins the handshake of the next client, if there is one and room for it.
    fn admit(&mut self, context: &mut Context<'_>) -> bool {
        let cap = self.handshake_limit;
        let waiting = self.outcomes.count();
        if waiting >= cap {
            return false;
        }
        if self.newcomer.is_none() {
            if self.are_clients_over || self.outcomes.given_up.get() != GivenUp::Nobody {
                return false;
            }
            let next = self.clients.as_mut().poll_next(context);
            self.are_clients_over = matches!(next, Poll::Ready(None));
            let Poll::Ready(Some(client)) = next else {
                return false;
            };
            // Before it can displace anybody.
            let admission = self.admission.get();
            let admitted = match client.was_let_in() {
                true => Some(client),
                false => let_in(client, &admission),
            };
            let Some(client) = admitted else {
                return true;
            };
            self.newcomer = Some(Newcomer {
                client,
                admission,
                has_displaced: false,
                has_waited: false,
            });
        }
        let Some(newcomer) = &mut self.newcomer else {
            return false;
        };
        if self.handshakes.len() + waiting >= cap {
            newcomer.has_waited = true;
            if newcomer.has_displaced {
                return false;
            }
            let displaced = self.handshakes.displace(newcomer.client.source());
            newcomer.has_displaced = displaced.is_some();
            let Some(error) = displaced else {
                return false;
            };
            self.put(Err(error));
            return true;
        }
        if let Some(newcomer) = self.newcomer.take() {
            self.begin(newcomer);
        }
        true
    }

    fn begin(&mut self, newcomer: Newcomer) {
        let Newcomer {
            mut client,
            mut admission,
            has_waited,
            ..
        } = newcomer;
        if has_waited {
            admission = self.admission.get();
            match let_in(client, &admission) {
                Some(admitted) => client = admitted,
                None => return,
            }
        }
        let who = (client.address().clone(), client.source());
        let progress = Rc::new(Progress::default());
        let (shard, listening) = (Rc::clone(&self.shard), Rc::clone(&self.listening));
        let handshake = match client.attempt(shard, listening, admission, Rc::clone(&progress)) {
            Ok(handshake) => handshake,
            Err(error) => {
                tracing::debug!(%error, "a client's socket is unusable");
                return;
            }
        };
        let guarded = async {
            let outcome = AssertUnwindSafe(handshake).catch_unwind().await;
            outcome.unwrap_or(Err(AttemptError::AdmissionPanicked))
        };
        self.handshakes.begin(who, progress, Box::pin(guarded));
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Of a listener that was dropped, nobody else tells.
        for _ in 0..self.handshakes.len() + usize::from(self.newcomer.is_some()) {
            count_attempt::<()>(&self.shard, Err(&AttemptError::ListenerEnded));
        }
    }
}

/// Refuses the client if `admission` does not let in who comes from there.
fn let_in(client: Incoming, admission: &Admission) -> Option<Incoming> {
    if client.is_admitted_by(admission) {
        return Some(client);
    }
    tracing::debug!(address = %client.address(), "a client's address is not let in");
    client.refuse();
    None
}
