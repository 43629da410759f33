//! ringseal on the same work as its peers: one thread for each end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ringseal::protocol::native::Suite;
use ringseal::{
    Address, Admission, Backend, Config, CupsVersion, Identity, Listener, Runtime, SakeVersion,
    Wire, dial,
};

use crate::work::{Flow, Handshakes, Work, pin};

/// What drives a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// A ring, by the uring driver as it is by default.
    Native,
    /// The same, with streams by the calls for those who count nanoseconds: `try_send` and
    /// `recv_batch`.
    BatchCalls,
    /// A ring, by the uring driver, which looks for something to do before every sleep.
    BusyPolling,
    /// A ring, by tokio-uring.
    TokioUring,
    /// Epoll, without a ring.
    Epoll,
}

/// What is spoken on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// The commonware wire, both layers in version 0.
    V0,
    /// The commonware wire, both layers in version 1.
    V1,
    /// The native wire with AES-256-GCM.
    NativeAes,
    /// The native wire with ChaCha20-Poly1305.
    NativeChaCha,
}

impl Spoken {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V0 => "V0",
            Self::V1 => "V1",
            Self::NativeAes => "native AES",
            Self::NativeChaCha => "native ChaCha",
        }
    }

    fn wire(self) -> Wire {
        match self {
            Self::V0 => Wire::Commonware {
                sake: SakeVersion::V0,
                cups: CupsVersion::V0,
            },
            Self::V1 => Wire::COMMONWARE,
            Self::NativeAes => Wire::Native {
                suite: Suite::Aes256Gcm,
            },
            Self::NativeChaCha => Wire::Native {
                suite: Suite::ChaCha20Poly1305,
            },
        }
    }
}

/// A free port.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long to look before sleeping.
const BUSY_POLL: Duration = Duration::from_micros(200);

impl Drive {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "ringseal",
            Self::BatchCalls => "ringseal by batch calls",
            Self::BusyPolling => "ringseal busy polling",
            Self::TokioUring => "ringseal on tokio-uring",
            Self::Epoll => "ringseal on epoll",
        }
    }

    fn runtime(self) -> Runtime {
        let builder = Runtime::builder();
        let builder = match self {
            Self::Native | Self::BatchCalls => builder.backend(Backend::Uring),
            Self::BusyPolling => builder.backend(Backend::Uring).busy_poll(BUSY_POLL),
            Self::TokioUring => builder.backend(Backend::TokioUring),
            Self::Epoll => builder.backend(Backend::Epoll),
        };
        builder.build().expect("this host gives what is measured")
    }
}

fn config(seed: u8, spoken: Spoken) -> Config {
    let identity = Identity::from_seed(&[seed; 32]);
    Config::new(identity, "peers").wire(spoken.wire())
}

/// Streams messages from a dialer on core 0 to a listener on core 1.
pub(crate) fn stream(drive: Drive, spoken: Spoken, work: &Work) -> Flow {
    let (ready, address) = mpsc::channel();
    let listener = std::thread::spawn(move || {
        pin(1);
        listen(drive, spoken, LOOPBACK, &ready)
    });
    let address = address.recv().expect("the listener listens");
    let work = *work;
    let dialer = std::thread::spawn(move || {
        pin(0);
        flood(drive, spoken, address.into(), &work)
    });
    let sent = dialer.join().expect("the dialer ends well");
    let flow = listener.join().expect("the listener ends well");
    assert_eq!(sent, flow.messages, "what was sent has arrived");
    flow
}

/// Takes in what one dialer sends.
pub(crate) fn listen(
    drive: Drive,
    spoken: Spoken,
    address: SocketAddr,
    ready: &mpsc::Sender<SocketAddr>,
) -> Flow {
    let runtime = drive.runtime();
    runtime.block_on(async {
        let mut listener = Listener::bind(address, &config(2, spoken), Admission::any())
            .await
            .expect("bind");
        ready
            .send(listener.local_address().socket_address().expect("over TCP"))
            .expect("somebody waits for the address");
        let connection = listener.accept().await.expect("accept");
        let (_sender, mut receiver) = connection.split();
        let mut flow = Flow::default();
        let mut first = None;
        let mut count = |message: &[u8]| {
            first.get_or_insert_with(Instant::now);
            flow.messages += 1;
            flow.bytes += message.len() as u64;
        };
        if drive == Drive::BatchCalls {
            while let Some(mut batch) = receiver.recv_batch().await.expect("receive") {
                while let Some(message) = batch.next_message().expect("receive") {
                    count(message);
                }
            }
        } else {
            while let Some(message) = receiver.recv().await.expect("receive") {
                count(&message);
            }
        }
        flow.elapsed = first.map_or(Duration::ZERO, |first| first.elapsed());
        flow
    })
}

/// Sends until the time is up, and gives how many messages were sent.
pub(crate) fn flood(drive: Drive, spoken: Spoken, address: Address, work: &Work) -> u64 {
    let runtime = drive.runtime();
    let peer = Identity::from_seed(&[2; 32]).public_key();
    let message = vec![0x5a; work.size];
    let batch = vec![message.as_slice(); work.batch];
    runtime.block_on(async {
        let (mut sender, _receiver) = dial(address, peer, &config(1, spoken))
            .await
            .expect("dial")
            .split();
        let mut sent = 0;
        let start = Instant::now();
        while start.elapsed() < work.duration {
            for _ in 0..work.calls_a_clock_reading() {
                if drive == Drive::BatchCalls {
                    for message in &batch {
                        if !sender.try_send(message).expect("send") {
                            sender.send(message).await.expect("send");
                        }
                    }
                } else if work.batch == 1 {
                    sender.send(&message).await.expect("send");
                } else {
                    sender.send_many(&batch).await.expect("send");
                }
                sent += work.batch as u64;
            }
        }
        sender.close().await.expect("close");
        sent
    })
}

/// Times one-byte round trips.
pub(crate) fn ping(drive: Drive, spoken: Spoken, count: usize) -> Vec<Duration> {
    let (ready, address) = mpsc::channel();
    let listener = std::thread::spawn(move || {
        pin(1);
        let runtime = drive.runtime();
        runtime.block_on(async {
            let settings = config(2, spoken);
            let mut listener = Listener::bind("127.0.0.1:0", &settings, Admission::any())
                .await
                .expect("bind");
            ready
                .send(listener.local_address())
                .expect("somebody waits for the address");
            let mut connection = listener.accept().await.expect("accept");
            while let Ok(Some(message)) = connection.recv().await {
                connection.send(&message).await.expect("echo");
            }
        });
    });
    let address: Address = address.recv().expect("the listener listens");
    let dialer = std::thread::spawn(move || {
        pin(0);
        let runtime = drive.runtime();
        let peer = Identity::from_seed(&[2; 32]).public_key();
        runtime.block_on(async {
            let mut connection = dial(address, peer, &config(1, spoken)).await.expect("dial");
            let mut pings = Vec::with_capacity(count);
            for _ in 0..count {
                let start = Instant::now();
                connection.send(&[1]).await.expect("send");
                connection.recv().await.expect("recv").expect("an echo");
                pings.push(start.elapsed());
            }
            pings
        })
    });
    let pings = dialer.join().expect("the dialer ends well");
    listener.join().expect("the listener ends well");
    pings
}

/// Makes handshakes one after the other, both ends on core 0, each on a connection of its own
/// that the listener drops.
pub(crate) fn handshakes(drive: Drive, spoken: Spoken, duration: Duration) -> Handshakes {
    let (ready, address) = mpsc::channel();
    let listener = std::thread::spawn(move || {
        pin(0);
        let runtime = drive.runtime();
        runtime.block_on(async {
            let settings = config(2, spoken);
            let mut listener = Listener::bind("127.0.0.1:0", &settings, Admission::any())
                .await
                .expect("bind");
            ready
                .send(listener.local_address())
                .expect("somebody waits for the address");
            let mut count = 0;
            while listener.accept().await.is_ok() {
                count += 1;
            }
            count
        })
    });
    let address: Address = address.recv().expect("the listener listens");
    let dialed = address.clone();
    let dialer = std::thread::spawn(move || {
        pin(0);
        let runtime = drive.runtime();
        let peer = Identity::from_seed(&[2; 32]).public_key();
        let settings = config(1, spoken);
        runtime.block_on(async {
            let mut handshakes = Handshakes::default();
            let start = Instant::now();
            while start.elapsed() < duration {
                let mut connection = dial(&dialed, peer, &settings).await.expect("dial");
                // It ends when the listener, which finishes last, has dropped its side.
                let _ = connection.recv().await;
                handshakes.count += 1;
            }
            handshakes.elapsed = start.elapsed();
            handshakes
        })
    });
    let handshakes = dialer.join().expect("the dialer ends well");
    // A connection without a handshake is the listener's sign to end.
    let address = address.socket_address().expect("a TCP address");
    drop(TcpStream::connect(address).expect("connect"));
    let accepted: u64 = listener.join().expect("the listener ends well");
    assert_eq!(accepted, handshakes.count, "both ends have finished each");
    handshakes
}
