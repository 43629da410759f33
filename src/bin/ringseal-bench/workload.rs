//! What the ends do all the time: send, receive, ping, echo.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::Future;
use core::hint::black_box;
use std::rc::Rc;
use std::time::Instant;

use ringseal::{Connection, Receiver, Sender, Task, spawn};
use ringseal_cli::failure::Failure;
use ringseal_cli::round_trips::RoundTrips;
use ringseal_cli::work_order::{Direction, Work};
use tokio::sync::mpsc;

use super::snapshot::Received;

/// Which end this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Dialer,
    Listener,
}

/// Tasks that never end by themselves, and what they have counted. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Workers {
    role: Role,
    work: Work,
    message: Rc<[u8]>,
    pub(crate) received: Rc<Received>,
    pub(crate) round_trips: Rc<RefCell<RoundTrips>>,
    tasks: Vec<Task<()>>,
    failures: mpsc::UnboundedSender<Failure>,
    failed: mpsc::UnboundedReceiver<Failure>,
}

impl Workers {
    pub(crate) fn new(role: Role, work: Work) -> Result<Self, Failure> {
        let size = work.size as usize;
        let mut message = Vec::new();
        message.try_reserve_exact(size).map_err(|_| {
            Failure::new(format!(
                "no memory for a message of {size} bytes; lower --size"
            ))
        })?;
        message.resize(size, 0x5a);
        let (failures, failed) = mpsc::unbounded_channel();
        Ok(Self {
            role,
            work,
            message: message.into(),
            received: Rc::default(),
            round_trips: Rc::new(RefCell::new(RoundTrips::new())),
            tasks: Vec::new(),
            failures,
            failed,
        })
    }

    /// Starts this end's part on one connection.
    pub(crate) fn start(&mut self, connection: Connection) {
        let (sender, receiver) = connection.split();
        let size = self.work.size as usize;
        let message = Rc::clone(&self.message);
        let received = Rc::clone(&self.received);
        let batch = self.work.batch as usize;
        match (self.work.direction, self.role) {
            (Direction::Send, Role::Dialer) | (Direction::Receive, Role::Listener) => {
                self.spawn(async move {
                    // Dropped, it would end a half that the peer still holds.
                    let _receiver = receiver;
                    send(sender, &message, batch).await
                });
            }
            (Direction::Receive, Role::Dialer) | (Direction::Send, Role::Listener) => {
                self.spawn(async move {
                    let _sender = sender;
                    receive(receiver, size, &received).await
                });
            }
            (Direction::Both, _) => {
                self.spawn(async move { send(sender, &message, batch).await });
                self.spawn(async move { receive(receiver, size, &received).await });
            }
            (Direction::Ping, Role::Dialer) => {
                let round_trips = Rc::clone(&self.round_trips);
                self.spawn(async move {
                    ping(sender, receiver, &message, &received, &round_trips).await
                });
            }
            (Direction::Ping, Role::Listener) => {
                self.spawn(async move { echo(sender, receiver, size, &received).await });
            }
        }
    }

    /// Waits for the first failure of any task.
    pub(crate) async fn failure(&mut self) -> Failure {
        match self.failed.recv().await {
            Some(failure) => failure,
            None => unreachable!("a sender is held beside the receiver"),
        }
    }

    fn spawn(&mut self, work: impl Future<Output = Result<Infallible, Failure>> + 'static) {
        let failures = self.failures.clone();
        self.tasks.push(spawn(async move {
            let Err(failure) = work.await;
            // Fails only when the run is over, and with it every reason to tell.
            let _ = failures.send(failure);
        }));
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn send(mut sender: Sender, message: &[u8], batch: usize) -> Result<Infallible, Failure> {
    if batch == 1 {
        loop {
            sender.send(message).await?;
        }
    }
    let batch = vec![message; batch];
    loop {
        sender.send_many(&batch).await?;
    }
}

async fn receive(
    mut receiver: Receiver,
    size: usize,
    received: &Received,
) -> Result<Infallible, Failure> {
    loop {
        take(&mut receiver, size, received).await?;
    }
}

async fn ping(
    mut sender: Sender,
    mut receiver: Receiver,
    message: &[u8],
    received: &Received,
    round_trips: &RefCell<RoundTrips>,
) -> Result<Infallible, Failure> {
    loop {
        let start = Instant::now();
        sender.send(message).await?;
        take(&mut receiver, message.len(), received).await?;
        round_trips.borrow_mut().add(start.elapsed());
    }
}

async fn echo(
    mut sender: Sender,
    mut receiver: Receiver,
    size: usize,
    received: &Received,
) -> Result<Infallible, Failure> {
    loop {
        let message = take(&mut receiver, size, received).await?;
        sender.send(&message).await?;
    }
}

/// Takes the next message in and counts it.
#[inline]
async fn take(
    receiver: &mut Receiver,
    size: usize,
    received: &Received,
) -> Result<ringseal::Message, Failure> {
    let Some(message) = receiver.recv().await? else {
        return Err(Failure::new(
            "the other end has gone before the end of the measurement",
        ));
    };
    if message.len() != size {
        return Err(Failure::new(format!(
            "a message of {} bytes came where all have {size}",
            message.len()
        )));
    }
    black_box(&*message);
    received.add(message.len());
    Ok(message)
}
