//! Plain TCP over tokio, messages behind a 4-byte length: what doing without encryption would
//! give.

use tokio::net::TcpStream;

use crate::framed::Framed;
use crate::tokio_peer::Protocol;

/// No encryption at all.
#[derive(Clone, Copy)]
pub(crate) struct PlainTcp;

impl Protocol for PlainTcp {
    type Link = Framed<TcpStream>;

    async fn dial(self, socket: TcpStream) -> Self::Link {
        Framed::new(socket)
    }

    async fn accept(self, socket: TcpStream) -> Self::Link {
        Framed::new(socket)
    }
}
