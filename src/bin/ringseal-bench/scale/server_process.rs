//! The server as a child of this process, and the end of it in every case.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ringseal::Wire;
use ringseal_cli::args::RingArgs;
use ringseal_cli::failure::Failure;

use super::state::State;

/// What a server is started with.
#[derive(Clone, Debug)]
pub(crate) struct ServerSettings<'a> {
    pub(crate) wire: Wire,
    pub(crate) threads: usize,
    /// A core for each thread, or none at all.
    pub(crate) cores: &'a [usize],
    pub(crate) connections: u32,
    pub(crate) size: u32,
    pub(crate) metrics: bool,
    /// Whether a program of tokio's serves by handles.
    pub(crate) handles: bool,
    pub(crate) ring: RingArgs,
}

/// A child that serves. Dropping it ends it and waits until it is gone.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub(crate) address: String,
}

impl ServerProcess {
    pub(crate) fn start(settings: &ServerSettings<'_>, seed: &str) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("scale-server")
            .args(["--wire", &settings.wire.to_string()])
            .args(["--threads", &settings.threads.to_string()])
            .args(["--connections", &settings.connections.to_string()])
            .args(["--size", &settings.size.to_string()])
            .args(["--backend", &settings.ring.backend.to_string()])
            .args(["--busy-poll", &settings.ring.busy_poll.to_string()]);
        if !settings.cores.is_empty() {
            let cores: Vec<String> = settings.cores.iter().map(usize::to_string).collect();
            command.args(["--cores", &cores.join(",")]);
        }
        if settings.metrics {
            command.arg("--metrics");
        }
        if settings.handles {
            command.arg("--handles");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C goes to this process, which ends that one.
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::with_advice(&error, "the server cannot be started"))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(ended)?;
        let mut process = Self {
            child,
            input: Some(input),
            output: BufReader::new(output),
            address: String::new(),
        };
        // Through a pipe, since every process of this host can see arguments.
        process.address = process.ask(seed)?;
        Ok(process)
    }

    pub(crate) fn state(&mut self) -> Result<State, Failure> {
        State::decode(&self.ask("state")?)
    }

    fn ask(&mut self, line: &str) -> Result<String, Failure> {
        let input = self.input.as_mut().ok_or_else(ended)?;
        writeln!(input, "{line}").map_err(|_| ended())?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        match answer.trim_end() {
            "" => Err(ended()),
            answer => Ok(answer.to_owned()),
        }
    }
}

fn ended() -> Failure {
    Failure::new("the server's process has ended")
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The end of its input would end it too, but nothing that it holds is worth the wait. Both fail
        // only for a process that is gone.
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
