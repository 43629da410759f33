//! The dialers: threads of this process, each with its share of the connections.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use ringseal::{Address, Config, Connection, PublicKey, RingThreads, SendError, Task, dial, spawn};
use ringseal_cli::args::RingArgs;
use ringseal_cli::failure::{Failure, chain};
use tokio::sync::{mpsc, watch};

use super::settings::runtime;
use crate::pinning::pin;

/// Handshakes of a thread at a time.
const AT_A_TIME: usize = 32;
/// Messages between two looks whether to go on.
const IN_A_ROW: usize = 64;

/// Whom to dial, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) listener: PublicKey,
    pub(crate) config: Config,
    pub(crate) size: usize,
}

/// The dialers of one server. Dropping it ends all connections.
#[derive(Debug)]
pub(crate) struct Crowd {
    threads: Vec<RingThreads>,
    is_busy: watch::Sender<bool>,
    failure: Arc<Mutex<Option<String>>>,
}

impl Crowd {
    /// Starts `count` threads, each on its core where there are any.
    pub(crate) async fn start(
        count: usize,
        cores: &[usize],
        ring: &RingArgs,
    ) -> Result<Self, Failure> {
        let mut threads = Vec::new();
        for index in 0..count {
            // One by one, so that each can be spoken to.
            let thread = RingThreads::start(runtime(ring), 1)?;
            let core = cores.get(index).copied();
            thread
                .handle()
                .run(move || async move { pin(core) })
                .await??;
            threads.push(thread);
        }
        Ok(Self {
            threads,
            is_busy: watch::Sender::new(false),
            failure: Arc::default(),
        })
    }

    /// Makes so many connections more, each of which carries one message. `may_be_busy`: whether they
    /// send when the crowd is busy.
    pub(crate) async fn connect(
        &self,
        count: u32,
        target: &Target,
        may_be_busy: bool,
    ) -> Result<(), Failure> {
        let (done, mut outcomes) = mpsc::unbounded_channel();
        for (index, thread) in self.threads.iter().enumerate() {
            let share = (index..count as usize).step_by(self.threads.len()).count();
            let part = Part {
                target: target.clone(),
                is_busy: may_be_busy.then(|| self.is_busy.subscribe()),
                failure: Arc::clone(&self.failure),
            };
            let done = done.clone();
            let connect = move || async move {
                drop(spawn(async move {
                    // Nobody waits for it after an interrupt.
                    let _ = done.send(part.connect(share).await);
                }));
            };
            thread.handle().run(connect).await?;
        }
        drop(done);
        while let Some(outcome) = outcomes.recv().await {
            outcome?;
        }
        Ok(())
    }

    /// Has all of them send as fast as they can, or stop.
    pub(crate) fn set_busy(&self, is_busy: bool) {
        self.is_busy.send_replace(is_busy);
    }

    /// Why a connection has failed, if one has.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure
            .as_ref()
            .map_or(Ok(()), |text| Err(Failure::new(text)))
    }

    /// Ends all connections and threads.
    pub(crate) async fn end(self) -> Result<(), Failure> {
        for thread in self.threads {
            thread.shutdown().await?;
        }
        Ok(())
    }
}

/// What a thread needs to make its connections.
#[derive(Clone, Debug)]
struct Part {
    target: Target,
    /// `None` for those that only stay.
    is_busy: Option<watch::Receiver<bool>>,
    failure: Arc<Mutex<Option<String>>>,
}

impl Part {
    async fn connect(self, share: usize) -> Result<(), Failure> {
        let part = Rc::new(self);
        let workers: Vec<Task<Result<(), Failure>>> = (0..AT_A_TIME.min(share))
            .map(|first| {
                let part = Rc::clone(&part);
                spawn(async move {
                    for _ in (first..share).step_by(AT_A_TIME) {
                        part.connect_one().await?;
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker.await?;
        }
        Ok(())
    }

    async fn connect_one(&self) -> Result<(), Failure> {
        let target = &self.target;
        let mut connection = dial(&target.address, target.listener, &target.config).await?;
        let message = vec![0x5a; target.size];
        connection.send(&message).await?;
        connection.flush().await?;
        drop(message);
        let (is_busy, failure, size) =
            (self.is_busy.clone(), Arc::clone(&self.failure), target.size);
        drop(spawn(async move {
            if let Err(error) = talk(connection, is_busy, size).await {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert_with(|| chain(&error));
            }
        }));
        Ok(())
    }
}

/// Sends while the crowd is busy; never ends but by an error.
async fn talk(
    mut connection: Connection,
    is_busy: Option<watch::Receiver<bool>>,
    size: usize,
) -> Result<(), SendError> {
    let Some(mut is_busy) = is_busy else {
        return core::future::pending().await;
    };
    loop {
        if is_busy.wait_for(|is_busy| *is_busy).await.is_err() {
            return Ok(());
        }
        // Not held while idle: it would count as memory of the connection.
        let message = vec![0x5a; size];
        while *is_busy.borrow() {
            for _ in 0..IN_A_ROW {
                connection.send(&message).await?;
            }
        }
    }
}
