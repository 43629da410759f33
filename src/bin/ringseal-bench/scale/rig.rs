//! A server in a child, its crowd in this process, and what both are doing.

use core::time::Duration;
use std::time::Instant;

use ringseal_cli::failure::Failure;
use tokio::time::sleep;

use super::crowd::{Crowd, Target};
use super::row::{Idle, Run};
use super::server_process::{ServerProcess, ServerSettings};
use super::settings::config;
use super::state::{State, cpu_ns, system_ns};
use crate::heap;
use crate::settings::{Identities, fresh_seed};

/// Until what was left of handshakes is gone.
const SETTLING: Duration = Duration::from_millis(500);
/// How long all send before it counts.
const WARM_UP: Duration = Duration::from_millis(150);
/// Between two looks whether all that was sent has come.
const LOOK: Duration = Duration::from_millis(20);
/// How long no message may come while all send.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long idle connections are watched.
const IDLE: Duration = Duration::from_secs(1);

/// A server and those who dial it.
#[derive(Debug)]
pub(crate) struct Rig {
    server: ServerProcess,
    crowd: Crowd,
    target: Target,
    connections: u32,
}

impl Rig {
    pub(crate) async fn start(settings: &ServerSettings<'_>) -> Result<Self, Failure> {
        let seed = fresh_seed()?;
        let keys = Identities::from_seed(seed.as_bytes());
        let server = ServerProcess::start(settings, &seed)?;
        let crowd = Crowd::start(settings.threads, settings.cores, &settings.ring).await?;
        let target = Target {
            address: server.address.as_str().into(),
            listener: keys.listener.public_key(),
            config: config(keys.dialer, settings.wire, settings.size),
            size: settings.size as usize,
        };
        Ok(Self {
            server,
            crowd,
            target,
            connections: 0,
        })
    }

    /// Makes connections, and measures what they cost while they have nothing to do. `may_be_busy`:
    /// whether they send later.
    pub(crate) async fn connect(&mut self, count: u32, may_be_busy: bool) -> Result<Idle, Failure> {
        let before = (self.server.state()?, heap::in_use());
        self.crowd.connect(count, &self.target, may_be_busy).await?;
        self.connections += count;
        sleep(SETTLING).await;
        let (begin, own_begin) = (self.server.state()?, cpu_ns());
        if begin.connections() != u64::from(self.connections) {
            return Err(Failure::new(format!(
                "the server has {} of {} connections",
                begin.connections(),
                self.connections
            )));
        }
        let after = heap::in_use();
        sleep(IDLE).await;
        let (end, own_end) = (self.server.state()?, cpu_ns());
        let each = |before: Option<u64>, after: Option<u64>| {
            Some(after?.saturating_sub(before?) as f64 / f64::from(count))
        };
        let own = |bytes: Option<usize>| bytes.map(|bytes| bytes as u64);
        let seconds = (end.at_ns - begin.at_ns) as f64;
        Ok(Idle {
            server_bytes: each(before.0.heap, begin.heap),
            dialer_bytes: each(own(before.1), own(after)),
            server_slots: begin.slots_in_use,
            server_cpu: (end.cpu_ns - begin.cpu_ns) as f64 / seconds,
            dialer_cpu: (own_end - own_begin) as f64 / seconds,
            spread: begin.spread,
        })
    }

    /// Has all connections that may be busy send for so long.
    pub(crate) async fn run(&mut self, length: Duration) -> Result<Run, Failure> {
        self.crowd.set_busy(true);
        sleep(WARM_UP).await;
        let own = || (cpu_ns(), system_ns());
        let (begin, own_begin) = (self.server.state()?, own());
        // Longer where the machine is so busy that nothing has come.
        let (mut end, mut own_end) = (begin.clone(), own_begin);
        let start = Instant::now();
        while end.messages == begin.messages && start.elapsed() < PATIENCE {
            sleep(length).await;
            (end, own_end) = (self.server.state()?, own());
        }
        self.crowd.set_busy(false);
        self.calm(&end).await?;
        self.crowd.check()?;
        let messages = (end.messages - begin.messages) as f64;
        if messages == 0.0 {
            return Err(Failure::new(format!(
                "no message has come for {} seconds",
                PATIENCE.as_secs()
            )));
        }
        let cpu_ns = (end.cpu_ns - begin.cpu_ns) + (own_end.0 - own_begin.0);
        let system_ns = (end.system_ns - begin.system_ns) + (own_end.1 - own_begin.1);
        Ok(Run {
            messages_per_second: messages * 1e9 / (end.at_ns - begin.at_ns) as f64,
            cpu_us_per_message: cpu_ns as f64 / 1e3 / messages,
            system_us_per_message: system_ns as f64 / 1e3 / messages,
            operations_per_message: (end.operations - begin.operations) as f64 / messages,
        })
    }

    /// Waits until all that was sent has come, so that the next run has the cores for itself.
    async fn calm(&mut self, end: &State) -> Result<(), Failure> {
        let mut latest = end.messages;
        loop {
            sleep(LOOK).await;
            let messages = self.server.state()?.messages;
            if messages == latest {
                return Ok(());
            }
            latest = messages;
        }
    }

    pub(crate) async fn end(self) -> Result<(), Failure> {
        self.crowd.end().await
    }
}
