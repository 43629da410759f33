//! A client whose handshake is over.

use super::place::Place;
use crate::net::connection::Connection;

/// A connection of a listener, and the place that it takes up if the listener is a server's.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) connection: Connection,
    pub(crate) place: Option<Box<dyn Place>>,
}

/// A connection that takes up nothing of a server.
impl From<Connection> for Accepted {
    fn from(connection: Connection) -> Self {
        Self {
            connection,
            place: None,
        }
    }
}
