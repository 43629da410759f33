//! What is told of something that is not as it should be.

/// Something that is not as it should be.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) what: String,
    /// Commands, flags and settings, each of which helps where it applies.
    pub(super) fixes: Vec<String>,
}

impl Problem {
    pub(super) fn new<const COUNT: usize>(what: impl Into<String>, fixes: [&str; COUNT]) -> Self {
        Self {
            what: what.into(),
            fixes: fixes.map(str::to_owned).to_vec(),
        }
    }
}
