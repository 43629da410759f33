//! Starting a runtime, and saying so when it is not on io_uring.

use std::sync::Once;

use ringseal::{Runtime, RuntimeBuilder, StartError};

use crate::failure::{self, Failure};

/// Starts a runtime on this thread. The first of the process that falls back to epoll says why.
pub fn start(builder: RuntimeBuilder) -> Result<Runtime, Failure> {
    let runtime = builder.build()?;
    if let Some(reason) = runtime.fallback_reason() {
        warn_of_fallback(reason);
    }
    Ok(runtime)
}

/// Says why a runtime fell back to epoll, once for all of this process.
pub fn warn_of_fallback(reason: &StartError) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        failure::warn(&format!(
            "warning: falling back to epoll, because {}; `ringseal doctor` tells more",
            failure::chain(reason)
        ));
    });
}
