//! Starting a runtime, and saying so when it is not on io_uring.

use std::sync::Once;

use ringseal::{Builder, Runtime};

use crate::failure::{self, Failure};

/// Starts a runtime on this thread. The first of the process that falls back to epoll says why.
pub(crate) fn start(builder: Builder) -> Result<Runtime, Failure> {
    static SAID: Once = Once::new();
    let runtime = builder.build()?;
    if let Some(reason) = runtime.fallback_reason() {
        SAID.call_once(|| {
            failure::warn(&format!(
                "warning: falling back to epoll, because {reason}; `ringseal doctor` tells more"
            ));
        });
    }
    Ok(runtime)
}
