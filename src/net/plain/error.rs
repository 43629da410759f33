//! What can go wrong with plain sockets.

use std::io;

use crate::net::establish::address::Address;

/// Why there is no [`PlainSocket`](crate::PlainSocket).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainConnectError {
    /// Nothing answers at the address.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// There is no runtime on this thread.
    #[error("called outside Runtime::block_on, while the runtime is ending, or in a forked child")]
    OutsideRuntime,
    /// The name has no address.
    #[error("cannot resolve {name}: {source}")]
    Resolve {
        /// What was asked for.
        name: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The socket can't be used on a ring: it is no connected stream socket, or the system refuses
    /// to prepare it.
    #[error("cannot use the socket, give a connected TCP or Unix-domain stream socket: {source}")]
    Unusable {
        /// What the system says.
        source: io::Error,
    },
}

/// Why a [`PlainSocket`](crate::PlainSocket) has read or written nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainSocketError {
    /// The socket was closed meanwhile.
    #[error(
        "the plain socket to {peer} is closed: it failed before, its writer was dropped in the \
         middle of a message, its runtime ends, or this is a forked child, which has none of its \
         parent's sockets; connect again"
    )]
    Closed {
        /// The other end.
        peer: Address,
    },
    /// Reading failed. What was read before is good.
    #[error("cannot read from the plain socket to {peer}: {source}")]
    Read {
        /// The other end.
        peer: Address,
        /// What the system says.
        source: io::Error,
    },
    /// Writing failed. What was written before may not have arrived, and of the last message a part
    /// may have; nothing can be written behind it.
    #[error("cannot write to the plain socket to {peer}: {source}")]
    Write {
        /// The other end.
        peer: Address,
        /// What the system says.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    // HAZARDS F16: whatever has a source says it itself.
    #[test]
    fn every_text_has_its_cause_in_it() {
        let cause = || io::Error::from(rustix::io::Errno::MFILE);
        let (text, peer) = (|| String::from("somewhere"), || Address::Unnamed);
        let errors: [Box<dyn core::error::Error>; 5] = [
            Box::new(PlainConnectError::Connect {
                address: text(),
                source: cause(),
            }),
            Box::new(PlainConnectError::Resolve {
                name: text(),
                source: cause(),
            }),
            Box::new(PlainConnectError::Unusable { source: cause() }),
            Box::new(PlainSocketError::Read {
                peer: peer(),
                source: cause(),
            }),
            Box::new(PlainSocketError::Write {
                peer: peer(),
                source: cause(),
            }),
        ];
        for error in errors {
            assert!(error.to_string().ends_with(&cause().to_string()), "{error}");
            assert!(error.source().is_some());
        }
    }
}
