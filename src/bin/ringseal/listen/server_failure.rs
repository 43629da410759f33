//! Why the server does not start, or has ended by itself, in words for users.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;

use ringseal::{Address, BindError, Drained, RunError, ServerError, UnixSocket};

use crate::args::ListenArgs;
use crate::failure::Failure;

/// Says why it does not start, and what to change.
pub(super) fn explain(error: ServerError, args: &ListenArgs) -> Failure {
    let ServerError::Bind(error) = error else {
        return error.into();
    };
    let BindError::Bind { source, .. } = &error else {
        return error.into();
    };
    let socket = match &args.address {
        Some(Address::Unix(socket)) => Some(socket),
        _ => None,
    };
    let is_path = socket.is_some();
    let advice = match source.kind() {
        io::ErrorKind::AddrInUse if is_path => {
            let metadata = socket
                .and_then(UnixSocket::as_path)
                .map(fs::symlink_metadata);
            match metadata {
                Some(Ok(metadata)) if !metadata.file_type().is_socket() => {
                    "what is there is no socket; choose another path, or move it away"
                }
                Some(_) if !args.replace_dead_socket => {
                    "choose another path; --replace-dead-socket removes a socket that nobody listens on"
                }
                _ => "somebody listens there; choose another path",
            }
        }
        io::ErrorKind::PermissionDenied if is_path => "choose a directory that you may write to",
        _ if is_path => return error.into(),
        io::ErrorKind::AddrInUse => "choose another port, or 0 for a free one",
        io::ErrorKind::PermissionDenied => "choose a port from 1024 on",
        io::ErrorKind::AddrNotAvailable => "name an address of this host, or 0.0.0.0 for all",
        _ => return error.into(),
    };
    Failure::with_advice(&error, advice)
}

/// Says that the server has ended by itself.
pub(super) fn unexpected(ended: Result<Drained, RunError>) -> Failure {
    match ended {
        Ok(drained) => Failure::new(format!(
            "nobody can be accepted any more: accepting has failed on every thread ({} of them have \
             ended); what was logged before says why",
            drained.lost_threads
        )),
        Err(error) => error.into(),
    }
}
