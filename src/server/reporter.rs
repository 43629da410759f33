//! Who is told of clients that did not become connections.

use core::fmt;
use std::sync::Arc;

use crate::driver::catch_panic;
use crate::net::AcceptError;

type Report = dyn Fn(&AcceptError) + Send + Sync;

/// What the user of a server wants called, if anything.
#[derive(Clone, Default)]
pub(super) struct Reporter(Option<Arc<Report>>);

impl Reporter {
    pub(super) fn new(report: impl Fn(&AcceptError) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(report)))
    }

    pub(super) fn report(&self, error: &AcceptError) {
        if let Some(report) = &self.0 {
            catch_panic(|| report(error));
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Reporter")
            .field(&self.0.is_some())
            .finish()
    }
}
