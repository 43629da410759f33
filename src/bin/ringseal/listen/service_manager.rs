//! What a service manager such as systemd is told, where one asks for it (`NOTIFY_SOCKET`, which
//! `sd_notify(3)` describes).
//!
//! A manager may not read for a while, and the queue of its socket is short. So nothing that is told is
//! waited for: what finds no room goes to a thread of its own, which waits, and so does all that is told
//! meanwhile, to keep the order.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use sd_notify::NotifyState;

use crate::log;

const SOCKET: &str = "NOTIFY_SOCKET";
/// How many notifications may wait.
const MAX_WAITING: usize = 16;
/// How long one waits for room: less than systemd waits for a start or an end.
const WAIT: Duration = Duration::from_secs(60);

/// How many notifications wait.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// Where those go that wait, once there were any.
static WAITING_ROOM: Mutex<Option<SyncSender<String>>> = Mutex::new(None);

/// Tells that clients can come.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells that settings are read again; [`ready`] tells that this has ended.
pub(super) fn reloading() {
    // `Type=notify-reload` takes no reload without the time.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => lost(&error.to_string()),
    }
}

/// Tells that this process ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says what was not told, when the process ends.
pub(super) fn finish() {
    let waiting = WAITING.load(Ordering::Relaxed);
    if waiting > 0 {
        lost(&format!(
            "nobody reads it; notifications that still wait: {waiting}"
        ));
    }
}

fn tell(states: &[NotifyState<'_>]) {
    let Some(place) = env::var_os(SOCKET) else {
        return;
    };
    let text: String = states.iter().map(|state| format!("{state}\n")).collect();
    // Threads tell one after the other, so that nothing overtakes what waits.
    let mut room = WAITING_ROOM.lock().unwrap_or_else(PoisonError::into_inner);
    if WAITING.load(Ordering::Relaxed) == 0 {
        match send(&place, &text, None) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return lost(&error.to_string()),
        }
    }
    if let Err(error) = wait_for_room(&mut room, place, text) {
        lost(&error.to_string());
    }
}

/// Sends it now, or within a limit.
fn send(place: &OsStr, text: &str, limit: Option<Duration>) -> io::Result<()> {
    let address = match place.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(place)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(limit.is_none())?;
    socket.set_write_timeout(limit)?;
    socket.send_to_addr(text.as_bytes(), &address).map(drop)
}

/// Has it sent by the thread for those that wait.
fn wait_for_room(
    room: &mut Option<SyncSender<String>>,
    place: OsString,
    text: String,
) -> io::Result<()> {
    let sender = match room {
        Some(sender) => sender,
        None => {
            let (sender, texts) = sync_channel(MAX_WAITING);
            thread::Builder::new()
                .name("notify".to_owned())
                .spawn(move || send_all(&place, &texts))?;
            room.insert(sender)
        }
    };
    WAITING.fetch_add(1, Ordering::Relaxed);
    sender.try_send(text).map_err(|_| {
        WAITING.fetch_sub(1, Ordering::Relaxed);
        io::Error::other("nobody reads it, and too many notifications wait already")
    })
}

fn send_all(place: &OsStr, texts: &Receiver<String>) {
    for text in texts {
        match send(place, &text, Some(WAIT)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                lost(&format!("nobody has read it for {WAIT:?}"));
            }
            Err(error) => lost(&error.to_string()),
        }
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lost(why: &str) {
    log::line(&format!(
        "the service manager could not be told at {SOCKET}: {why}; unset it, or have it name a \
         datagram socket that somebody reads"
    ));
}
