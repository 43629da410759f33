//! What a listening socket is made with, beside its address.

/// How a listener takes its address: how many clients may queue, whether the port is shared, and
/// what becomes of the file of a Unix-domain socket.
///
/// The defaults share nothing and remove nothing: what is in use is an error.
///
/// ```
/// use ringseal::BindOptions;
///
/// let options = BindOptions::new().backlog(128).mode(0o660).replace_dead(true);
/// assert_ne!(options, BindOptions::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindOptions {
    pub(super) backlog: u32,
    pub(super) shares_port: bool,
    pub(super) mode: Option<u32>,
    pub(super) replaces_dead: bool,
}

impl BindOptions {
    /// Clients that may wait to be accepted by default: 4 096.
    pub const DEFAULT_BACKLOG: u32 = 4096;

    /// Starts from the defaults.
    pub fn new() -> Self {
        Self {
            backlog: Self::DEFAULT_BACKLOG,
            shares_port: false,
            mode: None,
            replaces_dead: false,
        }
    }

    /// Sets how many clients may wait to be accepted, on each address. The kernel cuts it to
    /// `net.core.somaxconn`, and on Linux lets one more wait than the number says.
    #[must_use]
    pub fn backlog(mut self, clients: u32) -> Self {
        self.backlog = clients;
        self
    }

    /// Sets whether other listeners may take the same TCP port (`SO_REUSEPORT`), so that each thread
    /// of a process accepts by itself. The kernel spreads the clients over them by their addresses,
    /// not by load.
    ///
    /// All who share a port have to ask for it, and have to be of the same user: a listener that does
    /// not ask gets an error, and so does every process of another user. Another process of the
    /// *same* user that asks for it does share, which is how a new process takes over from an old
    /// one, and what a program that is started twice by mistake does.
    ///
    /// With port 0 each listener gets a port of its own: bind the first, and the others to the port
    /// that it got. Clients that wait in the queue of a listener which is dropped are reset, though
    /// others still share the port.
    ///
    /// Where there is no sharing that spreads clients, which is everywhere but on Linux and FreeBSD,
    /// and for Unix-domain sockets, it is an error of kind [`Unsupported`].
    ///
    /// [`Unsupported`]: std::io::ErrorKind::Unsupported
    #[must_use]
    pub fn share_port(mut self, allow: bool) -> Self {
        self.shares_port = allow;
        self
    }

    /// Sets the permission bits of the file of a Unix-domain socket. Whoever may write to the file
    /// may connect. Without this the process's umask decides. It says nothing about addresses that
    /// have no file: TCP, and names of Linux' abstract namespace.
    #[must_use]
    pub fn mode(mut self, bits: u32) -> Self {
        self.mode = Some(bits);
        self
    }

    /// Sets whether a Unix-domain socket at the path may be removed when nobody listens on it, as a
    /// process leaves it that was killed. To find out, the listener connects to it for a moment. Two
    /// listeners that start at the same moment may remove each other's, so leave it to one process to
    /// take the path.
    #[must_use]
    pub fn replace_dead(mut self, allow: bool) -> Self {
        self.replaces_dead = allow;
        self
    }
}

impl Default for BindOptions {
    fn default() -> Self {
        Self::new()
    }
}
