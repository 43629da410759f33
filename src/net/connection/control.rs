//! What a server does to a connection from outside of its handler.

use std::rc::Weak;

use rustix::io::Errno;

use super::link::Link;
use crate::net::establish::unix_socket::PeerCredentials;
use crate::protocol::AbortReason;

/// A connection that somebody else holds, while there is one.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionControl {
    link: Weak<Link>,
    /// Whether the wire can say something beside messages.
    has_control_frames: bool,
}

impl ConnectionControl {
    pub(crate) fn new(link: Weak<Link>, has_control_frames: bool) -> Self {
        Self {
            link,
            has_control_frames,
        }
    }

    /// Asks the peer to begin nothing new and then to end, where the wire has that.
    pub(crate) fn announce_leaving(&self, reason: u16) {
        if let Some(link) = self.link.upgrade().filter(|_| self.has_control_frames) {
            link.announce_leaving(reason);
        }
    }

    /// Notes that a server gives the connection to a handler. From now on a panic that drops it gives it
    /// up, so that the peer does not take that for an end in order.
    pub(crate) fn note_served(&self) {
        if let Some(link) = self.link.upgrade() {
            link.note_served();
        }
    }

    /// Gives the connection up, whoever holds its halves.
    pub(crate) fn abort(&self) {
        if let Some(link) = self.link.upgrade() {
            link.abort(AbortReason::UNSPECIFIED, self.has_control_frames);
        }
    }

    /// Closes the socket now; both halves say that the connection was aborted. Returns whether it was
    /// open.
    pub(crate) fn cut(&self) -> bool {
        let link = self.link.upgrade().filter(|link| link.socket().is_some());
        if let Some(link) = &link {
            link.fail_with(Errno::CONNABORTED.into());
        }
        link.is_some()
    }

    /// Returns who is at the other end of a Unix-domain socket.
    pub(crate) fn peer_credentials(&self) -> Option<PeerCredentials> {
        let (process, user, group) = self.link.upgrade()?.socket()?.peer_credentials()?;
        Some(PeerCredentials {
            process,
            user,
            group,
        })
    }
}
