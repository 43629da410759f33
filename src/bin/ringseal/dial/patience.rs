//! How long a peer may stand still.

use core::time::Duration;

use crate::args::DialArgs;

/// How long a peer may stand still that has nothing to think about: its echo is due.
pub(super) const ECHO_WAIT: Duration = Duration::from_secs(5);
/// How long any other peer may stand still, as long as `--progress-timeout`.
const WAIT: Duration = Duration::from_secs(60);

/// For how long the peer may stand still; `None` for no limit.
pub(super) fn wait(args: &DialArgs) -> Option<Duration> {
    let default = if args.ping { ECHO_WAIT } else { WAIT };
    let wait = args.wait.unwrap_or(default);
    (!wait.is_zero()).then_some(wait)
}
