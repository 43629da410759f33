//! The address of a Unix-domain socket, and who is at its end.

use core::fmt;
use std::path::{Path, PathBuf};

use crate::driver::UnixName;

/// A Unix-domain stream socket: a path, or a name in Linux' abstract namespace.
///
/// A listener never takes over a path where something is, unless
/// [`BindOptions::replace_dead`](crate::BindOptions::replace_dead) says so, and removes its file when
/// it is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    name: UnixName,
}

impl UnixSocket {
    /// Names a path, of at most 107 bytes.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        UnixName::Path(path.into()).into()
    }

    /// Names a socket of Linux' abstract namespace, by at most 107 bytes. Such a socket has no
    /// file and no permissions: every process of the network namespace can connect.
    pub fn abstract_name(name: impl AsRef<[u8]>) -> Self {
        UnixName::Abstract(name.as_ref().to_vec()).into()
    }

    /// Returns the abstract name, unless it is a path.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        match &self.name {
            UnixName::Path(_) => None,
            UnixName::Abstract(name) => Some(name),
        }
    }

    /// Returns the path, unless the name is an abstract one.
    pub fn as_path(&self) -> Option<&Path> {
        match &self.name {
            UnixName::Path(path) => Some(path),
            UnixName::Abstract(_) => None,
        }
    }

    pub(crate) fn name(&self) -> &UnixName {
        &self.name
    }
}

/// Who is at the other end of a Unix-domain socket, as the kernel saw it when the connection was
/// made, or when the listener began to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The process id, as this process's namespace has it; zero when it has none there.
    pub process: u32,
    /// The effective user id.
    pub user: u32,
    /// The effective group id.
    pub group: u32,
}

impl From<UnixName> for UnixSocket {
    fn from(name: UnixName) -> Self {
        Self { name }
    }
}

impl fmt::Display for UnixSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(formatter)
    }
}
