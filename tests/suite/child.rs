//! Tests that run in a child process of their own: under a limit of its own, where everything else
//! may be stopped or broken, and, where the tests run as root, as a user that nobody else is,
//! because locked memory is counted per user and root has no limit.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::setting::Setting;
use crate::runnable_copy::runnable_copy;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

const CASE: &str = "RINGSEAL_CASE";

/// The name of our copy, by which such a child is known among processes.
const PROGRAM: &str = "suite";

/// A child that runs one test. It is killed when this is dropped.
pub(crate) struct CaseProcess {
    pub(crate) child: Child,
    _directory: Arc<TempDir>,
}

impl CaseProcess {
    /// Waits for the end of the child, which has to have passed its test.
    pub(crate) fn finish(mut self) {
        drop(self.child.stdin.take());
        let mut text = String::new();
        let mut output = self.child.stdout.take().expect("piped");
        output.read_to_string(&mut text).expect("its output");
        let status = self.child.wait().expect("wait for the child");
        assert!(status.success(), "{status}: {text}");
        assert!(text.contains("1 passed"), "the case did not run: {text}");
    }
}

impl Drop for CaseProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a user id that no other case has: locked memory is counted by user, and what a case had
/// may count for a while after its end.
fn unused_user() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    100_000 + std::process::id() % 100_000 * 100 + NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Starts a child that runs `test` of `module`, which is the caller's `module_path!()`, with the
/// setting of this test.
pub(crate) fn start(module: &str, test: &str) -> CaseProcess {
    start_by(module, test, |program| {
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            let user = unused_user();
            command.uid(user).gid(user);
        }
        command
    })
}

/// Starts a child as [`start`] does, in a network namespace, for which this process has to be
/// root.
pub(crate) fn start_in_namespace(namespace: &str, module: &str, test: &str) -> CaseProcess {
    start_by(module, test, |program| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program);
        command
    })
}

/// Returns a copy of this program, which is removed when nobody has it any more.
fn copy_of_ourselves() -> Arc<TempDir> {
    static SHARED: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    // A test that failed in here is no reason for the others to fail.
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(directory) = shared.upgrade() {
        return directory;
    }
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    // What runs, also where a build has replaced it since.
    let ourselves = format!("/proc/{}/exe", std::process::id());
    runnable_copy(ourselves, directory.path(), PROGRAM);
    *shared = Arc::downgrade(&directory);
    directory
}

fn start_by(module: &str, test: &str, command: impl FnOnce(&Path) -> Command) -> CaseProcess {
    let directory = copy_of_ourselves();
    let (_binary, path) = module.split_once("::").expect("a module of the binary");
    let mut command = command(&directory.path().join(PROGRAM));
    command
        .arg("--exact")
        .arg(format!("{path}::{}::{test}", Setting::current().name))
        .args(["--nocapture", "--test-threads=1"])
        .env(CASE, test)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    CaseProcess {
        child: command.spawn().expect("start the child"),
        _directory: directory,
    }
}

/// Runs `test` of `module` in a child that has to pass it.
pub(crate) fn run_case(module: &str, test: &str) {
    start(module, test).finish();
}

/// Whether this process is the child of the test of this name.
pub(crate) fn is_case(test: &str) -> bool {
    std::env::var(CASE).is_ok_and(|case| case == test)
}

/// Lowers a limit of this process.
pub(crate) fn limit(resource: Resource, value: u64) {
    let limit = Rlimit {
        current: Some(value),
        maximum: getrlimit(resource)
            .maximum
            .map(|maximum| maximum.max(value)),
    };
    setrlimit(resource, limit).expect("lower a limit");
}

/// Returns what stands behind `word` on a line of its own.
pub(crate) fn said(
    lines: &mut impl Iterator<Item = std::io::Result<String>>,
    word: &str,
) -> String {
    let find = |line: std::io::Result<String>| {
        let line = line.expect("a line");
        line.strip_prefix(word).map(|rest| rest.trim().to_owned())
    };
    lines.find_map(find).expect("the child's word")
}
