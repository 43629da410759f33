//! Threads that each turn a ring of their own.

use core::panic::AssertUnwindSafe;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::{Arc, mpsc as blocking};
use std::thread::{self, JoinHandle};

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;

use super::error::RunError;
use super::ring_handle::RingHandle;
use super::tasks;
use super::threads::Job;
use crate::driver::{ProcessMark, StartError};
use crate::net::{Runtime, RuntimeBuilder, Statistics};

/// Threads that each have a [`Runtime`](crate::Runtime), for programs that do not want to run in
/// one. Use them through [`handle`](Self::handle).
///
/// Dropping it ends the threads, and with them all of their connections, without waiting;
/// [`shutdown`](Self::shutdown) waits. Neither sends what is still queued: close what shall arrive
/// before. The threads go on until what was sent has arrived, as dropping a
/// [`Runtime`](crate::Runtime) does.
///
/// What waits between a ring thread and the others is in no budget of a runtime. It is bounded for
/// each connection: by default to 2.5 MiB and four of the longest messages.
/// [`QueueLimits`](super::QueueLimits) sets that, and says what it is made of.
#[derive(Debug)]
pub struct RingThreads {
    handle: RingHandle,
    threads: Vec<RingThread>,
    /// Why the first thread without io_uring has none.
    fallback: Option<Arc<StartError>>,
    /// A forked child has none of the threads.
    process: ProcessMark,
}

#[derive(Debug)]
struct RingThread {
    jobs: mpsc::UnboundedSender<Job>,
    /// Cancelled as the last thing that the thread does.
    running: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

impl RingThreads {
    /// Starts `count` threads with these settings and waits until each has its ring, which takes
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`StartError`] of the first that has none; the others end again.
    pub fn start(builder: RuntimeBuilder, count: usize) -> Result<Self, StartError> {
        Self::start_prepared(builder, count, |_| Ok(()))
    }

    /// Starts threads that each call `prepare` with their index before anything else.
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start), and what `prepare` says.
    pub(crate) fn start_prepared(
        builder: RuntimeBuilder,
        count: usize,
        prepare: impl Fn(usize) -> Result<(), StartError> + Clone + Send + 'static,
    ) -> Result<Self, StartError> {
        if count == 0 {
            return Err(StartError::Configuration(
                "connections need a ring thread to live on; ask for 1 at least",
            ));
        }
        let mut threads = Vec::with_capacity(count);
        let (ready, started) = blocking::channel();
        for index in 0..count {
            let (builder, ready, prepare) = (builder.clone(), ready.clone(), prepare.clone());
            let build = move || {
                prepare(index)?;
                builder.build()
            };
            let (jobs, received) = mpsc::unbounded();
            let (alive, running) = oneshot::channel();
            let thread = thread::Builder::new()
                .name(format!("ringseal-{index}"))
                .spawn(move || turn(build, received, &ready, alive))
                .map_err(StartError::Thread)?;
            threads.push(RingThread {
                jobs,
                running,
                thread,
            });
        }
        drop(ready);
        let jobs = threads.iter().map(|thread| thread.jobs.clone()).collect();
        let mut threads = Self {
            handle: RingHandle::new(jobs),
            threads,
            fallback: None,
            process: ProcessMark::current(),
        };
        for started in started.iter().take(count) {
            if let Some(reason) = started? {
                threads.fallback.get_or_insert(reason);
            }
        }
        Ok(threads)
    }

    /// Returns what has connections made on these threads.
    pub fn handle(&self) -> RingHandle {
        self.handle.clone()
    }

    /// Returns why a thread is not on io_uring, where [`Backend::Auto`](crate::Backend::Auto) fell back
    /// to epoll; the first reason where several did.
    pub fn fallback_reason(&self) -> Option<&StartError> {
        self.fallback.as_deref()
    }

    /// Returns what each thread holds and has done; `None` for one that has ended, and for all of them in
    /// a forked child. [`Statistics::plus`] adds them up.
    ///
    /// # Cancellation
    ///
    /// Dropping the future changes nothing.
    pub async fn statistics(&self) -> Vec<Option<Statistics>> {
        self.handle.statistics().await
    }

    /// Ends all connections and the threads, and waits for them. Blocks no executor.
    ///
    /// # Errors
    ///
    /// [`RunError::Panicked`] when one of the threads did, then or earlier;
    /// [`RunError::ThreadEnded`] in a forked child, which has none of them.
    ///
    /// # Cancellation
    ///
    /// The threads end all the same.
    pub async fn shutdown(mut self) -> Result<(), RunError> {
        if self.process.is_inherited() {
            return Err(RunError::ThreadEnded);
        }
        self.close();
        let mut result = Ok(());
        for RingThread {
            running, thread, ..
        } in self.threads.drain(..)
        {
            // Nothing is ever sent: this is the end of the thread, and the join does not wait.
            let _ = running.await;
            if thread.join().is_err() {
                result = Err(RunError::Panicked);
            }
        }
        result
    }

    fn close(&self) {
        for thread in &self.threads {
            thread.jobs.close_channel();
        }
    }
}

impl Drop for RingThreads {
    fn drop(&mut self) {
        if self.process.is_inherited() {
            core::mem::forget(core::mem::take(&mut self.threads));
        }
        self.close();
    }
}

/// Turns a ring until there can be no more jobs.
fn turn(
    build: impl FnOnce() -> Result<Runtime, StartError>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    ready: &blocking::Sender<Result<Option<Arc<StartError>>, StartError>>,
    alive: oneshot::Sender<()>,
) {
    // Dropped last, also by a panic.
    let _alive = alive;
    let runtime = match build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // Whoever started the threads may have given up.
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(runtime.fallback().cloned()));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            while let Some(job) = jobs.next().await {
                job();
            }
        });
    }));
    // What is still asked for is refused from here on.
    drop(jobs);
    runtime.block_on(tasks::end_all());
    drop(runtime);
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::RemoteError;
    use crate::net::{Admission, Config, SendError};
    use crate::protocol::identity::Identity;

    // HAZARDS B9: the loop of a thread itself, which no task can make panic, panics.
    #[test]
    fn a_panic_of_a_ring_thread_is_an_error_for_all_who_use_it() {
        let settings = |seed| Config::new(Identity::from_seed(&[seed; 32]), "ringseal tests");
        let peer = settings(2).public_key();
        let ours = RingThreads::start(Runtime::builder(), 1).expect("a ring");
        let theirs = RingThreads::start(Runtime::builder(), 1).expect("a ring");
        let outcome = futures::executor::block_on(async {
            let handle = ours.handle();
            let mut listener = theirs
                .handle()
                .listen("127.0.0.1:0", &settings(2), Admission::any())
                .await
                .expect("listen");
            let address = listener.local_address();
            let (mut connection, _accepted) = futures_util::try_join!(
                async {
                    Ok(handle
                        .dial(&address, peer, &settings(1))
                        .await
                        .expect("dial"))
                },
                listener.accept(),
            )
            .expect("a connection");
            let posted = ours.threads[0]
                .jobs
                .unbounded_send(Box::new(|| panic!("on purpose")));
            posted.expect("the thread runs");
            let error = connection.recv().await.expect_err("no thread");
            assert!(matches!(error, RemoteError::ThreadEnded), "{error:?}");
            let error = connection.flush().await;
            assert!(error.is_ok(), "nothing was to be flushed: {error:?}");
            let error = connection.send("x").await.expect_err("no thread");
            assert!(matches!(error, RemoteError::ThreadEnded), "{error:?}");
            let error = connection.send("x").await.expect_err("no thread");
            assert!(
                matches!(error, RemoteError::Call(SendError::Closed)),
                "{error:?}"
            );
            let error = handle.dial(address, peer, &settings(1)).await;
            assert!(matches!(error, Err(RemoteError::ThreadEnded)), "{error:?}");
            assert_eq!(handle.run(|| async {}).await, Err(RunError::ThreadEnded));
            theirs.shutdown().await.expect("no panic there");
            ours.shutdown().await
        });
        assert_eq!(outcome, Err(RunError::Panicked));
    }
}
