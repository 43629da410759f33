//! Which core each end runs on.

use core::fmt;
use core::str::FromStr;

use ringseal_cli::failure::Failure;
use ringseal_cli::machine::allowed_cores;
use rustix::thread::{CpuSet, sched_setaffinity};

/// A core for the dialer and one for the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    pub(crate) dialer: usize,
    pub(crate) listener: usize,
}

impl Cores {
    /// The first two cores that this process may use, where there are two.
    pub(crate) fn first_two() -> Option<Self> {
        let mut cores = allowed_cores().ok()?.into_iter();
        Some(Self {
            dialer: cores.next()?,
            listener: cores.next()?,
        })
    }
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let core = |text: &str| {
            text.parse()
                .ok()
                .filter(|core: &usize| *core < CpuSet::MAX_CPU)
        };
        text.split_once(',')
            .and_then(|(dialer, listener)| {
                Some(Self {
                    dialer: core(dialer)?,
                    listener: core(listener)?,
                })
            })
            .ok_or_else(|| {
                format!(
                    "write two cores below {}, the dialer's first, as in 0,1",
                    CpuSet::MAX_CPU
                )
            })
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{},{}", self.dialer, self.listener)
    }
}

/// Keeps the calling thread, and what it starts from now on, on one core.
pub(crate) fn pin(core: Option<usize>) -> Result<(), Failure> {
    let Some(core) = core else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| {
        Failure::with_advice(
            &error,
            &format!(
                "cannot run on core {core}; choose other cores for this process, or use --no-pin"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cores_are_read_and_anything_else_is_refused() {
        let cores: Cores = "3,0".parse().expect("two cores");
        assert_eq!((cores.dialer, cores.listener), (3, 0));
        assert_eq!(cores.to_string(), "3,0");
        for text in ["", "0", "0,", ",1", "0,1,2", "a,b", "-1,0", "0,100000"] {
            assert!(text.parse::<Cores>().is_err(), "{text}");
        }
    }
}
