//! A half of a connection that can be taken out for a while, for what wants to own it.

use core::ops::{Deref, DerefMut};

/// A sender or a receiver.
#[derive(Debug)]
pub(crate) struct Half<T>(Option<T>);

/// What takes it out puts it back.
const THERE: &str = "nobody has taken it out";

impl<T> Half<T> {
    pub(crate) const fn new(half: T) -> Self {
        Self(Some(half))
    }

    pub(crate) fn take(&mut self) -> T {
        self.0.take().expect(THERE)
    }

    pub(crate) fn put(&mut self, half: T) {
        self.0 = Some(half);
    }
}

impl<T> Deref for Half<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(THERE)
    }
}

impl<T> DerefMut for Half<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(THERE)
    }
}
