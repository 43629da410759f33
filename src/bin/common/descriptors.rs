//! How many descriptors this process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;

/// Raises the soft limit of descriptors to `needed`, or without that as far as the hard one lets it;
/// never lowers it.
///
/// # Errors
///
/// That the hard limit is below that, with `advice`; then the soft one is as high. Or what the system
/// says.
pub fn allow(needed: Option<u64>, advice: &str) -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = needed.or(limit.maximum);
    let is_enough = |limit: Option<u64>| match (limit, wanted) {
        (Some(limit), Some(wanted)) => limit >= wanted,
        (limit, _) => limit.is_none(),
    };
    if is_enough(limit.current) {
        return Ok(());
    }
    let may_be = is_enough(limit.maximum);
    let raised = Rlimit {
        current: if may_be { wanted } else { limit.maximum },
        ..limit
    };
    setrlimit(Resource::Nofile, raised)?;
    match limit.maximum {
        Some(most) if !may_be => Err(Failure::new(format!(
            "so many connections take {} descriptors, and this process may have {most}; {advice}",
            wanted.unwrap_or_default()
        ))),
        _ => Ok(()),
    }
}
