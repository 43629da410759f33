//! The listener as a process of its own, and the end of it in every case.

use core::time::Duration;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use ringseal_cli::failure::Failure;
use tokio::sync::oneshot;

use super::pinning::Cores;
use super::settings::Settings;

/// How long a listener may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(2);
/// Longer than any seed that a parent writes.
const MAX_SEED_LINE: u64 = 1024;

/// A child that listens. Dropping it ends it and waits until it is gone.
#[derive(Debug)]
pub(crate) struct ListenerProcess {
    child: Child,
    address: SocketAddr,
}

impl ListenerProcess {
    /// Starts this program once more and waits until it listens.
    pub(crate) fn start(
        settings: &Settings,
        cores: Option<Cores>,
        seed: &str,
    ) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command
            .args(["--supervised", "--listen", "127.0.0.1:0"])
            .args(["--size", &settings.size.to_string()])
            .args(["--connections", &settings.connections.to_string()])
            .args(["--wire", &settings.wire.to_string()])
            .args(["--slots", &settings.slots.to_string()])
            .args(["--slot-size", &settings.slot_size.to_string()])
            .args(["--ring-entries", &settings.ring_entries.to_string()])
            .args(["--backend", &settings.ring.backend.to_string()])
            .args(["--busy-poll", &settings.ring.busy_poll.to_string()]);
        if let Some(limit) = settings.time_limit {
            command.args(["--time-limit", &limit.as_secs_f64().to_string()]);
        }
        match cores {
            Some(cores) => command.args(["--pin", &cores.to_string()]),
            None => command.arg("--no-pin"),
        };
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C goes to this process, which still wants the figures of that one.
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::with_advice(&error, "the listener cannot be started"))?;
        let mut process = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        process.address = process.introduce(seed)?;
        Ok(process)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives the seed and takes the address. The seed goes through a pipe, since every process of
    /// this host can see arguments.
    fn introduce(&mut self, seed: &str) -> Result<SocketAddr, Failure> {
        let ended = || Failure::new("the listener's process ended before it listened");
        let input = self.child.stdin.as_mut().ok_or_else(ended)?;
        writeln!(input, "{seed}").map_err(|_| ended())?;
        let output = self.child.stdout.take().ok_or_else(ended)?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        line.trim_end().parse().map_err(|_| ended())
    }

    /// Waits until it has ended, `PATIENCE` at most.
    fn has_ended(&mut self) -> io::Result<bool> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(true);
            }
            thread::sleep(LOOK);
        }
        Ok(false)
    }
}

impl Drop for ListenerProcess {
    fn drop(&mut self) {
        // The end of its input is what it waits for.
        drop(self.child.stdin.take());
        if !self.has_ended().unwrap_or(false) {
            // Both fail only for a process that is gone.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What the child sees of its parent.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) seed: String,
    gone: oneshot::Receiver<()>,
}

impl Parent {
    /// Reads the seed and watches for the end of standard input from then on.
    pub(crate) fn meet() -> Result<Self, Failure> {
        let mut seed = String::new();
        BufReader::with_capacity(1, io::stdin().lock().take(MAX_SEED_LINE)).read_line(&mut seed)?;
        if seed.pop() != Some('\n') {
            return Err(Failure::new("no seed came on standard input"));
        }
        let (present, gone) = oneshot::channel::<()>();
        thread::spawn(move || {
            // An error tells as well that nobody is there any more.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            drop(present);
            // A runtime that hangs must not outlive the parent.
            thread::sleep(PATIENCE);
            std::process::exit(1);
        });
        Ok(Self { seed, gone })
    }

    /// Waits until the parent has gone.
    pub(crate) async fn gone(self) {
        // It only ever ends by being dropped.
        let _ = self.gone.await;
    }
}
