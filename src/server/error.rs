//! Why a server does not start.

use std::io;

use crate::driver::StartError;
use crate::net::BindError;

/// Why [`ServerBuilder::start`](super::ServerBuilder::start) gave no server. Nothing stays bound or
/// running then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An address can't be listened on, or a socket that was handed in.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A core was named twice.
    #[error("core {core} is named twice for pinning; name a core for each thread")]
    CoreNamedTwice {
        /// Which one.
        core: usize,
    },
    /// A core was named that this process may not run on.
    #[error(
        "this process may not run on core {core}; pin to some of {allowed}, or allow it more cores \
         (taskset, AllowedCPUs=, docker run --cpuset-cpus)"
    )]
    CoreNotAllowed {
        /// Which one.
        core: usize,
        /// Those that it may run on.
        allowed: String,
    },
    /// The system does not say which cores there are, or has no pinning.
    #[error(
        "threads cannot be pinned to cores here; leave pinning out: sched_getaffinity failed: {0}"
    )]
    CoresUnknown(#[source] io::Error),
    /// There is nothing to listen on.
    #[error("nothing to listen on; call ServerBuilder::bind or ServerBuilder::listen_on")]
    NoAddress,
    /// A ring thread does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A thread that was to be pinned has no core.
    #[error(
        "{threads} threads cannot be pinned to {cores} cores; name a core for each, ask for fewer \
         threads, or leave pinning out"
    )]
    TooFewCores {
        /// How many threads were asked for.
        threads: usize,
        /// How many cores were named.
        cores: usize,
    },
    /// A limit lets nobody in.
    #[error("{limit} is 0, which lets nobody in; set 1 at least, or leave it out for the default")]
    ZeroLimit {
        /// Which one, of [`Config`](crate::Config) or of [`ServerLimits`](super::ServerLimits).
        limit: &'static str,
    },
}
