//! A file of keys that are admitted, read again while listeners go by it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};

use super::admission::{Admission, CurrentKeys};
use crate::protocol::identity::{KeyList, KeyListError, PublicKey};

/// A [`KeyList`] in a file, and the [`Admission`] that goes by it.
///
/// [`reload`](Self::reload) reads the file again, for instance at SIGHUP. The new list takes the
/// place of the old one for all listeners at once and as a whole, or not at all: a file that is
/// broken, or gone, changes nothing. Clones are cheap, share the list, and may go to other threads.
///
/// ```
/// use ringseal::{Identity, KeyFile};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("keys");
/// let alice = Identity::from_seed(&[1; 32]).public_key();
/// let bob = Identity::from_seed(&[2; 32]).public_key();
/// std::fs::write(&path, format!("{alice} alice\n{bob} bob\n"))?;
/// let keys = KeyFile::load(&path)?;
/// assert_eq!(keys.list().name(&bob), Some("bob"));
/// let admission = keys.admission(); // for Listener::bind
///
/// std::fs::write(&path, format!("{alice} alice\n12 carol\n"))?;
/// let error = keys.reload().expect_err("12 is no key");
/// assert!(error.to_string().contains("line 2: \"12 carol\""), "{error}");
/// assert!(keys.list().contains(&bob), "the old list holds");
///
/// std::fs::write(&path, format!("{alice} alice\n"))?;
/// let changes = keys.reload()?;
/// assert_eq!(changes.removed, [bob]); // connections that may be dropped now
/// # drop(admission);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: Arc<Path>,
    keys: CurrentKeys,
    /// Held while the file is read, so that what was read first does not hold last.
    reloading: Arc<Mutex<()>>,
}

/// What a [reload](KeyFile::reload) has changed, in the order of the keys' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyChanges {
    /// Keys that are admitted from now on.
    pub added: Vec<PublicKey>,
    /// Keys that are no longer admitted. Connections of theirs go on: that is up to whoever has them.
    pub removed: Vec<PublicKey>,
}

/// Why a file of keys was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It can't be read.
    #[error("cannot read the key file {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What it lists is not acceptable.
    #[error("key file {}: {source}", .path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        source: KeyListError,
    },
    /// It is not text.
    #[error("key file {}: line {number} is not UTF-8; name a text file with a key a line", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first such line, from 1.
        number: usize,
    },
    /// It is too long to be read.
    #[error("key file {} is longer than {limit} bytes; list fewer keys", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// How long it may be, in bytes.
        limit: usize,
    },
}

impl KeyFile {
    /// The longest file that is read, in bytes: 4 MiB, which is about 40 000 keys.
    pub const MAX_SIZE: usize = 4 * 1024 * 1024;

    /// Reads the file. Blocks while the disk is slow, and some microseconds for each key.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`], which names the line.
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, KeyFileError> {
        let path = path.into();
        let keys = CurrentKeys::new(read(&path)?);
        Ok(Self {
            path: path.into(),
            keys,
            reloading: Arc::default(),
        })
    }

    /// Reads the file again and has what it lists now hold from now on, for everything that was made
    /// of this. Handshakes whose key was looked up before are not asked again. Blocks as
    /// [`load`](Self::load) does, so that a ring thread with thousands of keys leaves it to another
    /// thread.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load). The old list holds on.
    pub fn reload(&self) -> Result<KeyChanges, KeyFileError> {
        let reloading = self.reloading.lock();
        let _reloading = reloading.unwrap_or_else(PoisonError::into_inner);
        let keys = read(&self.path)?;
        let before = self.keys.replace(keys.clone());
        Ok(KeyChanges {
            added: missing_from(&before, &keys),
            removed: missing_from(&keys, &before),
        })
    }

    /// Returns the list that holds now.
    #[must_use]
    pub fn list(&self) -> KeyList {
        self.keys.get()
    }

    /// Admits the keys that are listed at the time when a client is asked about: a
    /// [`reload`](Self::reload) changes it for listeners that have it already.
    #[must_use]
    pub fn admission(&self) -> Admission {
        Admission::current_keys(&self.keys)
    }

    /// Returns where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Returns the keys of `keys` that are not in `other`.
fn missing_from(other: &KeyList, keys: &KeyList) -> Vec<PublicKey> {
    keys.keys().filter(|key| !other.contains(key)).collect()
}

/// Opens a file that can be read again: whoever opens a pipe may wait for its writer for good.
fn open(path: &Path) -> io::Result<File> {
    let file = File::from(rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )?);
    if !file.metadata()?.is_file() {
        let problem = "it is not a regular file, and could not be read again; name one";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    Ok(file)
}

fn read(path: &Path) -> Result<KeyList, KeyFileError> {
    let path_of_error = || path.to_owned();
    let mut bytes = Vec::new();
    let limit = KeyFile::MAX_SIZE;
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    open(path)
        .and_then(|file| file.take(one_more).read_to_end(&mut bytes))
        .map_err(|source| KeyFileError::Read {
            path: path_of_error(),
            source,
        })?;
    if bytes.len() > limit {
        return Err(KeyFileError::TooLong {
            path: path_of_error(),
            limit,
        });
    }
    let text = core::str::from_utf8(&bytes).map_err(|error| KeyFileError::NotText {
        path: path_of_error(),
        number: line_at(&bytes, error.valid_up_to()),
    })?;
    KeyList::parse(text).map_err(|source| KeyFileError::List {
        path: path_of_error(),
        source,
    })
}

/// Returns in which line a byte stands, from 1.
fn line_at(bytes: &[u8], position: usize) -> usize {
    let before = bytes.iter().take(position);
    1 + before.filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::identity::Identity;

    fn key(seed: u8) -> PublicKey {
        Identity::from_seed(&[seed; 32]).public_key()
    }

    /// A file in a directory of its own.
    fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys");
        std::fs::write(&path, text).expect("write");
        (directory, path)
    }

    #[test]
    fn a_reload_says_what_has_changed_and_holds_for_clones() {
        let (_directory, path) = file(format!("{} one\n{}\n", key(1), key(2)));
        let keys = KeyFile::load(&path).expect("a list");
        let clone = keys.clone();
        let before = keys.list();
        std::fs::write(&path, format!("{} two\n{} three\n", key(2), key(3))).expect("write");
        let changes = keys.reload().expect("a list");
        let expected = KeyChanges {
            added: vec![key(3)],
            removed: vec![key(1)],
        };
        assert_eq!(changes, expected);
        assert_eq!(clone.list().name(&key(2)), Some("two"));
        assert!(
            before.contains(&key(1)),
            "what was asked for stays as it was"
        );
        assert_eq!(keys.reload().expect("a list"), KeyChanges::default());
    }

    #[test]
    fn a_file_that_is_broken_or_gone_changes_nothing() {
        let (directory, path) = file(format!("{} one\n", key(1)));
        let keys = KeyFile::load(&path).expect("a list");
        let before = keys.list();
        let too_long = format!("{}\n{}", key(2), "#".repeat(KeyFile::MAX_SIZE));
        let broken: [(&[u8], &str); 4] = [
            (b"", "no key is listed"),
            (b"# one\nnonsense\n", "line 2: \"nonsense\""),
            (b"\n\n\xff\n", "line 3 is not UTF-8"),
            (too_long.as_bytes(), "longer than 4194304 bytes"),
        ];
        for (text, part) in broken {
            std::fs::write(&path, text).expect("write");
            let error = keys.reload().expect_err(part).to_string();
            assert!(error.contains(part), "`{part}` is not in: {error}");
            assert!(error.contains(&path.display().to_string()), "{error}");
            assert!(!error.contains('\n'), "{error}");
            assert_eq!(keys.list(), before);
        }
        drop(directory);
        let error = keys.reload().expect_err("gone");
        assert!(matches!(error, KeyFileError::Read { .. }), "{error}");
        assert_eq!(keys.list(), before);
    }

    #[test]
    fn what_is_no_file_of_keys_is_refused_at_the_start() {
        let directory = tempfile::tempdir().expect("a directory");
        let error = KeyFile::load(directory.path()).expect_err("a directory");
        assert!(matches!(error, KeyFileError::Read { .. }), "{error}");
    }

    #[test]
    fn reloads_of_many_threads_leave_what_the_file_says_last() {
        let (_directory, path) = file(format!("{}\n", key(0)));
        let keys = KeyFile::load(&path).expect("a list");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..8 {
                        keys.reload().expect("a list");
                    }
                });
            }
            for seed in 1..8 {
                // As a careful writer does it.
                let new = path.with_extension("new");
                std::fs::write(&new, format!("{}\n", key(seed))).expect("write");
                std::fs::rename(&new, &path).expect("rename");
            }
        });
        keys.reload().expect("a list");
        assert!(keys.list().contains(&key(7)) && keys.list().len() == 1);
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("keys");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .expect("a pipe");
        let error = KeyFile::load(&path).expect_err("it is a pipe");
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}
