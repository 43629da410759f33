//! The other end: bound to its thread, it does what the first message of each work asks for.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringseal::{Address, Admission, Config, Connection, Identity, Listener, PublicKey, Runtime};

use crate::common::pin;
use crate::way::Way;

/// Messages between two looks at the clock.
pub(crate) const MESSAGES_A_CLOCK_READING: usize = 64;

/// What the peer does, until the work's empty message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Work {
    /// It takes messages in, and answers the empty one.
    Take = 0,
    /// It sends messages for as long as it was asked, then an empty one.
    Give = 1,
    /// It sends everything back.
    Echo = 2,
}

/// The first message of a piece of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) work: Work,
    pub(crate) size: usize,
    pub(crate) duration: Duration,
}

impl Request {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = vec![self.work as u8];
        bytes.extend((self.size as u64).to_le_bytes());
        bytes.extend(self.duration.as_secs_f64().to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&work, rest) = bytes.split_first()?;
        let (size, seconds) = rest.split_first_chunk()?;
        let work = [Work::Take, Work::Give, Work::Echo]
            .into_iter()
            .find(|known| *known as u8 == work)?;
        Some(Self {
            work,
            size: u64::from_le_bytes(*size).try_into().ok()?,
            duration: Duration::from_secs_f64(f64::from_le_bytes(seconds.try_into().ok()?)),
        })
    }
}

/// A thread on core 1 that serves as many connections as there are ways.
pub(crate) struct Peer {
    pub(crate) address: Address,
    thread: JoinHandle<()>,
}

impl Peer {
    pub(crate) fn start() -> Self {
        let (ready, address) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            pin(1);
            listen(&ready);
        });
        Self {
            address: address.recv().expect("the peer listens"),
            thread,
        }
    }

    pub(crate) fn key() -> PublicKey {
        config(2).public_key()
    }

    /// Waits for the end of a peer whose connections have ended.
    pub(crate) fn join(self) {
        self.thread.join().expect("the peer ends well");
    }
}

/// The settings of the end with this seed.
pub(crate) fn config(seed: u8) -> Config {
    Config::new(Identity::from_seed(&[seed; 32]), "ways of use")
}

fn listen(ready: &mpsc::Sender<Address>) {
    let runtime = Runtime::builder().slots(32).build().expect("a runtime");
    runtime.block_on(async {
        let mut listener = Listener::bind("127.0.0.1:0", &config(2), Admission::any())
            .await
            .expect("bind");
        ready
            .send(listener.local_address())
            .expect("somebody waits for the address");
        let mut served = Vec::new();
        for _ in Way::ALL {
            let connection = listener.accept().await.expect("accept");
            served.push(ringseal::spawn(serve(connection)));
        }
        for task in served {
            task.await;
        }
    });
}

async fn serve(mut connection: Connection) {
    while let Ok(Some(message)) = connection.recv().await {
        let request = Request::decode(&message).expect("a request");
        drop(message);
        match request.work {
            Work::Take => {
                while !receive(&mut connection).await {}
                connection.send(&[]).await.expect("answer");
            }
            Work::Give => {
                let message = vec![0x5a; request.size];
                let start = Instant::now();
                while start.elapsed() < request.duration {
                    for _ in 0..MESSAGES_A_CLOCK_READING {
                        connection.send(&message).await.expect("send");
                    }
                }
                connection.send(&[]).await.expect("send");
            }
            Work::Echo => loop {
                let message = connection.recv().await.expect("recv").expect("a message");
                connection.send(&message).await.expect("echo");
                if message.is_empty() {
                    break;
                }
            },
        }
    }
}

/// Receives a message, and says whether it was the empty one.
async fn receive(connection: &mut Connection) -> bool {
    let message = connection.recv().await.expect("recv").expect("a message");
    message.is_empty()
}
