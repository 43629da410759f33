//! Which core runs what, so that a flood costs others what it costs the server, and not the
//! processor time of those who flood.

use std::fmt;
use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// On which core each part of a measurement runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    /// The admitted peers, and those who dial.
    pub(crate) peers: usize,
    pub(crate) strangers: usize,
}

impl Cores {
    /// Deals out the cores that this process may run on. The strangers get one of their own as long as
    /// there are two, and the peers another one as long as there are three.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let server = cores.next().ok_or(io::ErrorKind::NotFound)?;
        let (second, third) = (cores.next(), cores.next());
        Ok(Self {
            server,
            peers: third.and(second).unwrap_or(server),
            strangers: third.or(second).unwrap_or(server),
        })
    }

    /// Whether the strangers have a core of their own.
    pub(crate) fn are_strangers_apart(self) -> bool {
        self.strangers != self.server
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server,
            peers,
            strangers,
        } = self;
        if peers == server {
            write!(
                formatter,
                "The server has one thread, which shares core {server} with the admitted peers and \
                 with those who dial. "
            )?;
        } else {
            write!(
                formatter,
                "The server has one thread, on core {server} alone; the admitted peers and those who \
                 dial share core {peers}. "
            )?;
        }
        if self.are_strangers_apart() {
            write!(
                formatter,
                "The strangers are a process of their own, which has core {strangers} for itself; \
                 what they take of it is in the table. All is over the throughput while that core \
                 has nothing to do; one row is of when it is busy with something else."
            )
        } else {
            write!(
                formatter,
                "There is only that core: the strangers share it too, and what they take of it, \
                 which is in the table, is missing elsewhere."
            )
        }
    }
}

/// Keeps the calling thread, and those that it starts, on one core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
