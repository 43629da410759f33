//! Tests that run in a child process of their own: under a limit of its own, where everything else
//! may be stopped or broken, and, where the tests run as root, as a user that nobody else is,
//! because locked memory is counted per user and root has no limit.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::setting::Setting;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const CASE: &str = "RINGSEAL_CASE";

/// A child that runs one test. It is killed when this is dropped.
pub(crate) struct CaseProcess {
    pub(crate) child: Child,
    _directory: tempfile::TempDir,
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

fn start_by(module: &str, test: &str, command: impl FnOnce(&Path) -> Command) -> CaseProcess {
    // A program that is still open for writing, in a child started meanwhile, can't be run.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().expect("nobody panics in here");
    // The build directory may be closed to other users.
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("suite");
    std::fs::copy(std::env::current_exe().expect("our path"), &program).expect("copy ourselves");
    for path in [directory.path(), &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    let (_binary, path) = module.split_once("::").expect("a module of the binary");
    let mut command = command(&program);
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
