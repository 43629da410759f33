//! The file of a Unix-domain socket that listens: made, guarded and removed.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, bind, connect};

use super::{BindOptions, ProcessMark, UnixName, descriptor};

/// A path that a socket of ours is bound to. Dropping it removes the file, if it is still ours;
/// in a forked child it is the parent's.
#[derive(Debug)]
pub(super) struct UnixPath {
    path: PathBuf,
    device: u64,
    inode: u64,
    process: ProcessMark,
}

impl UnixPath {
    /// Binds `descriptor` to `path`.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` when there is something at the path, except a dead socket that `options` let
    /// be replaced; else what `bind(2)` and `chmod(2)` say.
    pub(super) fn bind(
        descriptor: BorrowedFd<'_>,
        path: &Path,
        options: &BindOptions,
    ) -> io::Result<Self> {
        let address = UnixName::Path(path.to_owned()).to_address()?;
        match bind(descriptor, &address) {
            Err(Errno::ADDRINUSE) if options.replaces_dead && is_dead(path)? => {
                tracing::info!(path = %path.display(), "removing a socket that nobody listens on");
                fs::remove_file(path)?;
                bind(descriptor, &address)?;
            }
            result => result?,
        }
        let metadata = fs::symlink_metadata(path)?;
        let bound = Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            process: ProcessMark::current(),
        };
        if let Some(mode) = options.mode {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        Ok(bound)
    }

    fn is_ours(&self, metadata: &Metadata) -> bool {
        (metadata.dev(), metadata.ino()) == (self.device, self.inode)
    }
}

/// Whether there is a socket at `path` that refuses connections.
fn is_dead(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    let probe = descriptor::stream_socket(AddressFamily::UNIX, None)?;
    let address = UnixName::Path(path.to_owned()).to_address()?;
    Ok(connect(&probe, &address) == Err(Errno::CONNREFUSED))
}

impl Drop for UnixPath {
    fn drop(&mut self) {
        if self.process.is_inherited() {
            return;
        }
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|metadata| self.is_ours(&metadata));
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the socket's file stays behind");
        }
    }
}
