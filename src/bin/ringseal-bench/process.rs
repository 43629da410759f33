//! What the kernel says of this process.

use std::fs;

use ringseal_cli::failure::Failure;

/// Bytes of memory that are resident now.
pub(crate) fn resident_bytes() -> Result<usize, Failure> {
    let text = fs::read_to_string("/proc/self/statm")
        .map_err(|error| Failure::new(format!("cannot read /proc/self/statm: {error}")))?;
    let pages = text
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    let pages = pages.ok_or_else(|| Failure::new("/proc/self/statm has no resident pages"))?;
    Ok(pages * rustix::param::page_size())
}

/// Descriptors that are open now.
pub(crate) fn descriptors() -> Result<usize, Failure> {
    let entries = fs::read_dir("/proc/self/fd")
        .map_err(|error| Failure::new(format!("cannot read /proc/self/fd: {error}")))?;
    // Without the one that the directory is read by.
    Ok(entries.count().saturating_sub(1))
}
