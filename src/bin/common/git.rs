//! What git says about the sources: which commit they are at, and whether what is built differs from it.
//!
//! For the programs, and for the script that cargo runs before it builds them.

use std::path::Path;
use std::process::Command;

/// What the programs and the benches are built from, within the repository. Documents, charts, and the
/// kept figures themselves make no other program.
pub(crate) const BUILT: [&str; 9] = [
    ":(top).cargo",
    ":(top)Cargo.lock",
    ":(top)Cargo.toml",
    ":(top)benches",
    ":(top)src",
    ":(exclude,top)*.md",
    ":(exclude,top)*.svg",
    ":(exclude,top)benches/docker",
    ":(exclude,top)benches/results",
];

/// The commit that sources are at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Its hash.
    pub(crate) commit: String,
    /// Whether what is built differs from it.
    pub(crate) is_changed: bool,
}

impl State {
    /// The state of the repository that has `file`, or `None` where none has it, or git is not there.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        let directory = file.parent()?;
        // Sources that lie in somebody else's repository, without being part of it, are at none of its
        // commits.
        git(
            directory,
            &["ls-files", "--error-unmatch", file.file_name()?.to_str()?],
        )?;
        let status = [&["status", "--porcelain", "--"], &BUILT[..]].concat();
        Some(Self {
            commit: git(directory, &["rev-parse", "HEAD"])?,
            is_changed: !git(directory, &status)?.is_empty(),
        })
    }
}

/// Runs git in a directory. What it prints, if it succeeds.
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = command(directory).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    // Whoever works in the repository meanwhile is not to meet a lock.
    command.arg("--no-optional-locks").arg("-C").arg(directory);
    // A hook of git has them, and they would name its repository instead of the directory's.
    for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_is_built_makes_other_programs_than_the_commit() {
        if Command::new("git").arg("--version").output().is_err() {
            eprintln!("!! SKIPPED: git is not there; NOBODY HAS SEEN WHICH COMMIT IS TOLD");
            return;
        }
        let repository = tempfile::tempdir().expect("a directory");
        let root = repository.path();
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        };
        let run = |arguments: &[&str]| {
            let who = ["-c", "user.name=test", "-c", "user.email=test"];
            git(root, &[&who, arguments].concat()).unwrap_or_else(|| panic!("git {arguments:?}"))
        };
        let state = || State::of(&root.join("src/bin/Cargo.toml"));
        write("src/bin/Cargo.toml", "");
        write("README.md", "");
        assert_eq!(state(), None);
        run(&["init", "--quiet"]);
        assert_eq!(state(), None, "nobody has committed it");
        run(&["add", "."]);
        run(&["commit", "--quiet", "--no-gpg-sign", "--message", "one"]);
        let commit = run(&["rev-parse", "HEAD"]);
        let at = |is_changed| {
            Some(State {
                commit: commit.clone(),
                is_changed,
            })
        };
        assert_eq!(state(), at(false));
        write("README.md", "figures");
        write("benches/results/some.json", "figures");
        write("tests/new.rs", "");
        assert_eq!(state(), at(false));
        write("src/new.rs", "");
        assert_eq!(state(), at(true));
        fs::remove_file(root.join("src/new.rs")).expect("it is there");
        write("src/bin/Cargo.toml", "# other");
        assert_eq!(state(), at(true));
    }
}
