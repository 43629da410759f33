//! In the place of the library's room of this name.

/// No process forks here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessMark;

impl ProcessMark {
    pub(crate) fn current() -> Self {
        Self
    }

    pub(crate) fn is_inherited(self) -> bool {
        false
    }
}
