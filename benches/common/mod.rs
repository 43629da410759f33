//! A long-lived connection between two threads, each with its own ring, for the benches.

#![allow(dead_code, reason = "each bench uses a part")]

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringseal::{
    Address, Admission, Config, Connection, Identity, Listener, Receiver, Runtime, RuntimeBuilder,
    Sender, Wire,
};

fn config(seed: u8, wire: Wire) -> Config {
    Config::new(Identity::from_seed(&[seed; 32]), "ringseal bench")
        .wire(wire)
        .max_message_size(4 << 20)
}

/// Puts the calling thread on one core, or ends the program: figures of ends that share a core, or move
/// about, are none.
pub(crate) fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        eprintln!(
            "cannot pin an end to core {core}: {error}; nothing is measured: give this process cores 0 and 1"
        );
        std::process::exit(1);
    }
}

/// A connection to a thread that takes everything in and answers each empty message with one.
pub(crate) struct Sink {
    runtime: Runtime,
    halves: Option<(Sender, Receiver)>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Connects over loopback: this thread on core 0, the sink on core 1.
    pub(crate) fn connect(wire: Wire, builder: &RuntimeBuilder) -> Self {
        Self::connect_with(wire, builder, |config| config)
    }

    /// As [`connect`](Self::connect), with both ends' settings adjusted.
    pub(crate) fn connect_with(
        wire: Wire,
        builder: &RuntimeBuilder,
        adjust: fn(Config) -> Config,
    ) -> Self {
        pin(0);
        let (sender, address) = mpsc::channel();
        let listening = builder.clone();
        let adjusted = adjust(config(2, wire));
        let thread = std::thread::spawn(move || take_in(adjusted, &listening, &sender));
        let address: Address = address.recv().expect("the sink listens");
        let runtime = builder.clone().build().expect("io_uring");
        let halves = runtime.block_on(async {
            let peer = Identity::from_seed(&[2; 32]).public_key();
            ringseal::dial(address, peer, &adjust(config(1, wire)))
                .await
                .expect("dial")
                .split()
        });
        Self {
            runtime,
            halves: Some(halves),
            thread: Some(thread),
        }
    }

    /// Sends `count` copies of `message`, one call each, and waits until the sink has opened all.
    pub(crate) fn stream(&mut self, message: &[u8], count: u64) -> Duration {
        let (sender, receiver) = self.halves.as_mut().expect("connected");
        self.runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..count {
                sender.send(message).await.expect("send");
            }
            sender.send(&[]).await.expect("send");
            receiver.recv().await.expect("recv").expect("an answer");
            start.elapsed()
        })
    }

    /// The same in batches.
    pub(crate) fn stream_batches(&mut self, batch: &[&[u8]], count: u64) -> Duration {
        let (sender, receiver) = self.halves.as_mut().expect("connected");
        self.runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..count {
                sender.send_many(batch).await.expect("send");
            }
            sender.send(&[]).await.expect("send");
            receiver.recv().await.expect("recv").expect("an answer");
            start.elapsed()
        })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // The end of the connection ends the sink.
        let halves = self.halves.take();
        self.runtime.block_on(async { drop(halves) });
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the sink ends well");
        }
    }
}

fn take_in(config: Config, builder: &RuntimeBuilder, ready: &mpsc::Sender<Address>) {
    pin(1);
    let runtime = builder.clone().build().expect("io_uring");
    runtime.block_on(async {
        let mut listener = Listener::bind("127.0.0.1:0", &config, Admission::any())
            .await
            .expect("bind");
        ready
            .send(listener.local_address())
            .expect("somebody waits for the address");
        let connection: Connection = listener.accept().await.expect("accept");
        let (mut sender, mut receiver) = connection.split();
        while let Ok(Some(message)) = receiver.recv().await {
            if message.is_empty() {
                sender.send(&[]).await.expect("answer");
            }
            std::hint::black_box(&*message);
        }
    });
}
