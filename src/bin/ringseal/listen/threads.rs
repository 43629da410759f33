//! How many threads serve, and which cores they are kept on.

use core::num::NonZeroUsize;
use std::thread;

use ringseal::ServerBuilder;
use ringseal_cli::machine::allowed_cores;

use crate::args::{Pinning, ThreadArgs};
use crate::failure::{self, Failure};

/// Sets them as the command line says.
///
/// # Errors
///
/// That the system does not say which cores there are.
pub(super) fn set(builder: ServerBuilder, args: &ThreadArgs) -> Result<ServerBuilder, Failure> {
    let available = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = args.threads.map(usize::from);
    match &args.pin {
        None => {
            if let Some(threads) = threads
                && threads > available
            {
                failure::warn(&format!(
                    "warning: {threads} threads take turns on {available} cores, which makes nothing \
                     faster; give --threads {available}, or leave it out"
                ));
            }
            Ok(builder.threads(threads.unwrap_or(available)))
        }
        Some(Pinning::First) => {
            let cores = allowed()?;
            let threads = threads.unwrap_or_else(|| available.min(cores.len()));
            Ok(builder.threads(threads).pin(cores))
        }
        Some(Pinning::Cores(cores)) => {
            let threads = threads.unwrap_or(cores.len());
            Ok(builder.threads(threads).pin(cores.iter().copied()))
        }
    }
}

/// The cores that this process may use.
fn allowed() -> Result<Vec<usize>, Failure> {
    allowed_cores().map_err(|error| {
        let advice = "leave --pin out, or name cores, as in --pin=0,1";
        Failure::with_advice(&error, advice)
    })
}
