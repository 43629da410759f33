//! The ways of use, and a connection in each.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use ringseal::{Receiver, RemoteReceiver, RemoteSender, RingThreads, RunError, Runtime, Sender};

use crate::counting_allocator::Allocations;
use crate::end::{Adapters, Bound, End, Handle, exchange};
use crate::peer::{Peer, Request, Work, config};

/// How a program uses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Bound,
    BoundAdapters,
    Handle,
    HandleAdapters,
}

/// What one measurement gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) messages: u64,
    pub(crate) elapsed: Duration,
    pub(crate) allocations: Allocations,
}

/// The measured end of a connection.
pub(crate) trait Connected {
    /// Does a piece of work with the peer.
    fn measure(&mut self, request: Request) -> Result<Sample, Box<dyn Error>>;
}

impl Way {
    /// The baseline first.
    pub(crate) const ALL: [Self; 4] = [
        Self::Bound,
        Self::BoundAdapters,
        Self::Handle,
        Self::HandleAdapters,
    ];

    /// Returns what a program calls, for this work.
    pub(crate) fn name(self, work: Work) -> &'static str {
        match (self, work) {
            (Self::Bound, Work::Take) => "`Sender::send`",
            (Self::Bound, Work::Give) => "`Receiver::recv`",
            (Self::Bound, Work::Echo) => "`Sender`, `Receiver`",
            (Self::BoundAdapters, Work::Take) => "`Sender::into_sink`",
            (Self::BoundAdapters, Work::Give) => "`Receiver::into_stream`",
            (Self::BoundAdapters, Work::Echo) => "`into_sink`, `into_stream`",
            (Self::Handle, Work::Take) => "`RemoteSender::send`",
            (Self::Handle, Work::Give) => "`RemoteReceiver::recv`",
            (Self::Handle, Work::Echo) => "`RemoteSender`, `RemoteReceiver`",
            (Self::HandleAdapters, Work::Take) => "`RemoteSender` as a `Sink`",
            (Self::HandleAdapters, Work::Give) => "`RemoteReceiver` as a `Stream`",
            (Self::HandleAdapters, Work::Echo) => "the same as `Sink` and `Stream`",
        }
    }

    /// Connects to the peer.
    pub(crate) fn connect(self, peer: &Peer) -> Result<Box<dyn Connected>, Box<dyn Error>> {
        Ok(match self {
            Self::Bound => Box::new(OnThisThread::connect(peer, Bound)?),
            Self::BoundAdapters => Box::new(OnThisThread::connect(peer, |sender, receiver| {
                Adapters(sender.into_sink::<Bytes>(), receiver.into_stream())
            })?),
            Self::Handle => Box::new(OnRingThread::connect(peer, Handle)?),
            Self::HandleAdapters => Box::new(OnRingThread::connect(peer, Adapters)?),
        })
    }
}

/// An end that is bound to the calling thread.
struct OnThisThread<E> {
    runtime: Runtime,
    end: Option<E>,
}

impl<E> OnThisThread<E> {
    fn connect(peer: &Peer, make: fn(Sender, Receiver) -> E) -> Result<Self, Box<dyn Error>> {
        let runtime = Runtime::builder().build()?;
        let settings = config(1);
        let dial = ringseal::dial(&peer.address, Peer::key(), &settings);
        let (sender, receiver) = runtime.block_on(dial)?.split();
        let end = Some(make(sender, receiver));
        Ok(Self { runtime, end })
    }
}

impl<E: End> Connected for OnThisThread<E> {
    fn measure(&mut self, request: Request) -> Result<Sample, Box<dyn Error>> {
        let end = self.end.take().ok_or("it is connected")?;
        let before = Allocations::of_this_thread();
        let (end, messages, elapsed) = self.runtime.block_on(exchange(end, request));
        self.end = Some(end);
        Ok(Sample {
            messages,
            elapsed,
            allocations: since(before, Allocations::of_this_thread()),
        })
    }
}

impl<E> Drop for OnThisThread<E> {
    fn drop(&mut self) {
        let end = self.end.take();
        self.runtime.block_on(async { drop(end) });
    }
}

/// An end that a worker of tokio's uses, of a connection on a ring thread.
struct OnRingThread<E> {
    worker: tokio::runtime::Runtime,
    threads: RingThreads,
    end: Option<E>,
}

impl<E> OnRingThread<E> {
    fn connect(
        peer: &Peer,
        make: fn(RemoteSender, RemoteReceiver) -> E,
    ) -> Result<Self, Box<dyn Error>> {
        let worker = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()?;
        let threads = RingThreads::start(Runtime::builder(), 1)?;
        let handle = threads.handle();
        let settings = config(1);
        let dial = handle.dial(&peer.address, Peer::key(), &settings);
        let (sender, receiver) = worker.block_on(dial)?.split();
        Ok(Self {
            worker,
            threads,
            end: Some(make(sender, receiver)),
        })
    }

    /// Runs `work`, which gives the end back, as a task of the worker.
    fn run<F>(&mut self, work: F) -> Result<Sample, Box<dyn Error>>
    where
        F: Future<Output = (E, u64, Duration)> + Send + 'static,
        E: Send + 'static,
    {
        let handle = self.threads.handle();
        let task = self.worker.spawn(async move {
            let of_ring_thread = || handle.run(async || Allocations::of_this_thread());
            let rings_before = of_ring_thread().await?;
            let before = Allocations::of_this_thread();
            let (end, messages, elapsed) = work.await;
            let allocations = since(before, Allocations::of_this_thread());
            let rings = since(rings_before, of_ring_thread().await?);
            let sample = Sample {
                messages,
                elapsed,
                allocations: Allocations {
                    count: allocations.count + rings.count,
                    bytes: allocations.bytes + rings.bytes,
                },
            };
            Ok::<_, RunError>((end, sample))
        });
        let (end, sample) = self.worker.block_on(task)??;
        self.end = Some(end);
        Ok(sample)
    }
}

impl Connected for OnRingThread<Handle> {
    fn measure(&mut self, request: Request) -> Result<Sample, Box<dyn Error>> {
        let end = self.end.take().ok_or("it is connected")?;
        self.run(exchange(end, request))
    }
}

impl Connected for OnRingThread<Adapters<RemoteSender, RemoteReceiver>> {
    fn measure(&mut self, request: Request) -> Result<Sample, Box<dyn Error>> {
        let end = self.end.take().ok_or("it is connected")?;
        self.run(exchange(end, request))
    }
}

fn since(before: Allocations, after: Allocations) -> Allocations {
    Allocations {
        count: after.count - before.count,
        bytes: after.bytes - before.bytes,
    }
}
