//! What tests say that this machine can't try.

use std::fmt::Arguments;
use std::io::{Write, stderr};

/// What such a line begins with.
pub(crate) const SKIPPED: &str = "!! SKIPPED: ";

/// Says it loudly: past the test runner, which keeps what a test prints that passes.
pub(crate) fn skipped(what: Arguments<'_>) {
    // Where nobody reads it there is nobody to tell.
    let _ = writeln!(stderr(), "{SKIPPED}{what}");
}
