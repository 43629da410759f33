//! Which processor cores the threads run on.

use crate::driver::StartError;

use super::error::ServerError;

/// Checks that each of `threads` has a core of its own in `cores`, on which this process may run.
///
/// # Errors
///
/// [`ServerError`] says what is wrong with them.
pub(super) fn check(cores: &[usize], threads: usize) -> Result<(), ServerError> {
    if cores.len() < threads {
        let cores = cores.len();
        return Err(ServerError::TooFewCores { threads, cores });
    }
    let allowed = allowed().map_err(ServerError::CoresUnknown)?;
    for (index, &core) in cores.iter().enumerate() {
        if !allowed.contains(&core) {
            let allowed = list(&allowed);
            return Err(ServerError::CoreNotAllowed { core, allowed });
        }
        if cores[..index].contains(&core) {
            return Err(ServerError::CoreNamedTwice { core });
        }
    }
    Ok(())
}

fn list(cores: &[usize]) -> String {
    let numbers: Vec<_> = cores.iter().map(usize::to_string).collect();
    numbers.join(",")
}

#[cfg(target_os = "linux")]
fn allowed() -> std::io::Result<Vec<usize>> {
    use rustix::thread::{CpuSet, sched_getaffinity};

    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&core| set.is_set(core))
        .collect())
}

/// Keeps the calling thread on one core.
///
/// # Errors
///
/// [`StartError::Affinity`].
#[cfg(target_os = "linux")]
pub(super) fn pin(core: usize) -> Result<(), StartError> {
    use rustix::thread::{CpuSet, sched_setaffinity};

    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| StartError::Affinity {
        core,
        source: error.into(),
    })
}

#[cfg(not(target_os = "linux"))]
fn allowed() -> std::io::Result<Vec<usize>> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn pin(core: usize) -> Result<(), StartError> {
    let source = std::io::ErrorKind::Unsupported.into();
    Err(StartError::Affinity { core, source })
}
