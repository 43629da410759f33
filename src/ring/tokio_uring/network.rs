//! Sockets that are ready when tokio's reactor says so.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use tokio::net::{TcpListener, TcpStream};

use crate::ring::socket;

/// Connects to `address`. Dropping the future closes the socket.
pub(in crate::ring) async fn connect_to(address: SocketAddr) -> io::Result<OwnedFd> {
    into_descriptor(TcpStream::connect(address).await?)
}

/// A listening socket.
#[derive(Debug)]
pub(in crate::ring) struct Acceptor {
    listener: TcpListener,
}

impl Acceptor {
    pub(in crate::ring) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener })
    }

    pub(in crate::ring) fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub(in crate::ring) async fn accept(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        let (stream, address) = self.listener.accept().await?;
        Ok((into_descriptor(stream)?, address))
    }
}

fn into_descriptor(stream: TcpStream) -> io::Result<OwnedFd> {
    let descriptor = stream.into_std()?.into();
    socket::prepare(&descriptor)?;
    Ok(descriptor)
}

/// Returns the addresses that a `host:port` stands for.
pub(in crate::ring) async fn resolve(name: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host(name).await?.collect())
}
