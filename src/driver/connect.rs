//! Connecting, the same on every backend but for who waits.

use core::time::Duration;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::descriptor;
use super::pollable::Pollable;
use super::{DriverState, Endpoint, UnixName};
use rustix::io::Errno;
use rustix::net::sockopt;

/// The first pause while the queue of a Unix-domain listener is full, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(64);

/// Connects to `endpoint`, and waits while the queue of a Unix-domain listener is full, as TCP
/// does by itself. Dropping the future closes the socket. The socket is not blocking.
///
/// # Errors
///
/// What `connect(2)` says.
pub(crate) async fn connect(state: &Rc<DriverState>, endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let descriptor = descriptor::socket_for(endpoint)?;
    let connected = match endpoint {
        Endpoint::Internet(address) => rustix::net::connect(&descriptor, address),
        Endpoint::Unix(name) => connect_unix(&descriptor, name).await?,
    };
    let descriptor = match connected {
        Ok(()) => descriptor,
        // An interrupted call goes on in the background as well.
        Err(Errno::INPROGRESS | Errno::INTR) => {
            let pollable = Pollable::new(descriptor, state)?;
            pollable.writable().await?;
            sockopt::socket_error(pollable.descriptor())??;
            pollable.into_descriptor()?
        }
        Err(error) => return Err(error.into()),
    };
    if let Endpoint::Internet(_) = endpoint {
        sockopt::set_tcp_nodelay(&descriptor, true)?;
    }
    Ok(descriptor)
}

/// Connects to a Unix-domain socket. With a full queue the kernel answers at once, and has nothing
/// to wait for.
async fn connect_unix(descriptor: &OwnedFd, name: &UnixName) -> io::Result<Result<(), Errno>> {
    let address = name.to_address()?;
    let mut pause = FIRST_PAUSE;
    loop {
        match rustix::net::connect(descriptor, &address) {
            Err(Errno::AGAIN) => super::sleep(pause).await,
            connected => return Ok(connected),
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
