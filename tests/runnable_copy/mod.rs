//! Programs where any user may run them.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Copies `program` into `directory` as `name`, where every user can run it: the build directory
/// may be closed to others.
pub(crate) fn runnable_copy(program: impl AsRef<Path>, directory: &Path, name: &str) -> PathBuf {
    let copy = directory.join(name);
    // By another process: no program can be run that is open for writing, and a child that some
    // test forks meanwhile has open what this process has.
    let copied = Command::new("cp")
        .arg(program.as_ref())
        .arg(&copy)
        .status()
        .expect("run cp");
    assert!(
        copied.success(),
        "cp of {}: {copied}",
        program.as_ref().display()
    );
    for path in [directory, &copy] {
        set_permissions(path, Permissions::from_mode(0o755)).expect("chmod");
    }
    copy
}
