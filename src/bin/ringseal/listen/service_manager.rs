//! What a service manager such as systemd is told, where one asks for it (`NOTIFY_SOCKET`).

use sd_notify::NotifyState;

use crate::log;

/// Tells that clients can come.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells that settings are read again; [`ready`] tells that this has ended.
pub(super) fn reloading() {
    // `Type=notify-reload` takes no reload without the time.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::line(&format!(
            "the service manager is not told of the reload: clock_gettime failed: {error}"
        )),
    }
}

/// Tells that this process ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::line(&format!(
            "the service manager could not be told at NOTIFY_SOCKET: {error}; unset it, or have it \
             name a datagram socket that somebody reads"
        ));
    }
}
