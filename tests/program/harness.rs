//! Runs a program and looks at what it prints and how it ends.

use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use ringseal::Identity;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. Killed when dropped.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) input: Option<ChildStdin>,
    pub(crate) output: Receiver<String>,
    pub(crate) errors: Receiver<String>,
}

/// What is left of one that has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: Vec<String>,
    pub(crate) errors: Vec<String>,
}

pub(crate) fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

impl Program {
    /// Starts `ringseal`.
    pub(crate) fn start<S: AsRef<str>>(args: &[S]) -> Self {
        Self::start_with(args, |_| {})
    }

    /// Starts it after `set` has changed where its streams go, or its environment.
    pub(crate) fn start_with<S: AsRef<str>>(args: &[S], set: impl FnOnce(&mut Command)) -> Self {
        Self::start_program(env!("CARGO_BIN_EXE_ringseal"), args, set)
    }

    /// Starts one of the programs as [`start_with`](Self::start_with) does.
    pub(crate) fn start_program<S: AsRef<str>>(
        program: &str,
        args: &[S],
        set: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Command::new(program);
        command
            .args(args.iter().map(AsRef::as_ref))
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        set(&mut command);
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().map(lines);
        let errors = child.stderr.take().map(lines);
        Self {
            input: child.stdin.take(),
            output: output.unwrap_or_else(|| lines(io::empty())),
            errors: errors.unwrap_or_else(|| lines(io::empty())),
            child,
        }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn next_line(&self) -> String {
        let line = self.output.recv_timeout(PATIENCE);
        line.unwrap_or_else(|_| panic!("no output; errors: {:?}", self.errors.try_recv()))
    }

    pub(crate) fn next_error(&self) -> String {
        self.errors.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(self) -> Ended {
        self.wait_for(PATIENCE)
    }

    /// Waits for its end, and fails the test after `patience`.
    pub(crate) fn wait_for(mut self, patience: Duration) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < patience, "the program does not end");
            thread::sleep(Duration::from_millis(5));
        };
        Ended {
            status,
            output: self.output.iter().collect(),
            errors: self.errors.iter().collect(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect_success(self) -> Vec<String> {
        assert_eq!(self.status.code(), Some(0), "{:?}", self.errors);
        assert_eq!(self.errors, [""; 0]);
        self.output
    }

    /// Exit code 1, nothing on standard output, and one line that has all of `parts`.
    #[track_caller]
    pub(crate) fn expect_failure(self, parts: &[&str]) {
        assert_eq!(self.status.code(), Some(1), "{:?}", self.errors);
        assert_eq!(self.output, [""; 0]);
        let [line] = &self.errors[..] else {
            panic!("not one line: {:?}", self.errors);
        };
        assert!(line.starts_with("ringseal: "), "{line}");
        for part in parts {
            assert!(line.contains(part), "`{part}` is not in: {line}");
        }
    }

    #[track_caller]
    pub(crate) fn expect_usage_error(self, part: &str) {
        assert_eq!(self.status.code(), Some(2), "{:?}", self.errors);
        assert!(self.errors.join("\n").contains(part), "{:?}", self.errors);
    }
}

pub(crate) fn run(args: &[&str]) -> Ended {
    let mut program = Program::start(args);
    program.end_input();
    program.wait()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A key file and its public half.
pub(crate) struct Key {
    pub(crate) file: PathBuf,
    pub(crate) public: String,
}

impl Key {
    /// The same, for a test that is an end itself.
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pkcs8_pem(&std::fs::read_to_string(&self.file).unwrap()).unwrap()
    }
}

pub(crate) fn keygen(directory: &TempDir, name: &str) -> Key {
    let file = directory.path().join(name);
    let output = run(&["keygen", "--out", text(&file)]).expect_success();
    let [public] = &output[..] else {
        panic!("not one line: {output:?}");
    };
    Key {
        public: public.clone(),
        file,
    }
}

/// Two identities that want to talk.
pub(crate) struct Pair {
    pub(crate) directory: TempDir,
    pub(crate) alice: Key,
    pub(crate) bob: Key,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        Self {
            alice: keygen(&directory, "alice.pem"),
            bob: keygen(&directory, "bob.pem"),
            directory,
        }
    }

    /// Bob listens for Alice. Gives the address too.
    pub(crate) fn listen(&self, more: &[&str]) -> (Program, String) {
        self.listen_on("127.0.0.1:0", more)
    }

    pub(crate) fn listen_on(&self, address: &str, more: &[&str]) -> (Program, String) {
        self.listen_set(address, more, |_| {})
    }

    /// Bob listens for Alice, with streams or an environment that the caller sets.
    pub(crate) fn listen_set(
        &self,
        address: &str,
        more: &[&str],
        set: impl FnOnce(&mut Command),
    ) -> (Program, String) {
        let mut args = vec!["listen", address, "--identity", text(&self.bob.file)];
        args.extend(["--namespace", "test"]);
        if !more.iter().any(|arg| arg.starts_with("--allow")) {
            args.extend(["--allow", &self.alice.public]);
        }
        args.extend(more);
        let program = Program::start_with(&args, set);
        let first = program.next_line();
        let address = first.strip_prefix("listening on ").unwrap_or(&first);
        let address = address.to_owned();
        (program, address)
    }

    /// As `listen_set` for an address that is known before, and needs no reader of its output.
    pub(crate) fn listen_with(
        &self,
        address: &str,
        more: &[&str],
        set: impl FnOnce(&mut Command),
    ) -> Program {
        let mut args = vec!["listen", address, "--identity", text(&self.bob.file)];
        args.extend(["--namespace", "test", "--allow", &self.alice.public]);
        args.extend(more);
        let program = Program::start_with(&args, set);
        eventually("it listens", || run(&["health", address]).status.success());
        program
    }

    /// Alice dials whom she takes for Bob.
    pub(crate) fn dial(&self, address: &str, more: &[&str]) -> Program {
        self.dial_key(address, &self.bob.public, more)
    }

    pub(crate) fn dial_key(&self, address: &str, peer: &str, more: &[&str]) -> Program {
        Program::start(&self.dial_args(address, peer, more))
    }

    pub(crate) fn dial_with(
        &self,
        address: &str,
        more: &[&str],
        set: impl FnOnce(&mut Command),
    ) -> Program {
        Program::start_with(&self.dial_args(address, &self.bob.public, more), set)
    }

    fn dial_args<'a>(&'a self, address: &'a str, peer: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["dial", address, "--identity", text(&self.alice.file)];
        args.extend(["--peer", peer]);
        if !more.contains(&"--namespace") {
            args.extend(["--namespace", "test"]);
        }
        args.extend(more);
        args
    }
}

pub(crate) fn stop(program: Program) -> Ended {
    program.signal(Signal::TERM);
    program.wait()
}

pub(crate) fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

pub(crate) fn openssl(args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits until `holds`.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A pipe that takes nothing more until somebody reads it. What is in it are empty lines.
pub(crate) fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    // Whoever gets the writer shares this setting, so it is taken back.
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    for size in [4096, 1] {
        while writer.write(&vec![b'\n'; size]).is_ok() {}
    }
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

/// The number that a line says before `what`.
pub(crate) fn number_before(line: &str, what: &str) -> Option<usize> {
    let before = line.split_once(what)?.0;
    before.rsplit(' ').next()?.parse().ok()
}
