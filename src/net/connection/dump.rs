//! Tells of each record of the native wire that leaves or has come, for whoever looks for a fault:
//! its direction, its kind and its length, never what a message says.
//!
//! Costs one look at the level of logging for a record that comes, and for a buffer that leaves. The
//! record by which a listener accepts or refuses leaves before there is a connection with a number, so that
//! its event names the peer instead.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use tracing::Span;

use crate::net::establish::address::Address;
use crate::protocol::Wire;
use crate::protocol::identity::PublicKey;
use crate::protocol::layout::Step;
use crate::protocol::native::record::describe;

/// The target of these events.
const TARGET: &str = "ringseal::wire";

/// Whether anybody wants these events.
#[inline]
pub(crate) fn is_wanted() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
}

/// Tells the records of one connection from those of others.
#[derive(Clone, Debug)]
pub(crate) struct Dump {
    /// 0 for one that was established while nobody wanted to know.
    connection: u64,
    /// That of the connection.
    span: Span,
}

impl Dump {
    /// Of a connection that has no number.
    pub(crate) const UNNUMBERED: Self = Self {
        connection: 0,
        span: Span::none(),
    };

    /// Numbers a connection, and tells whose it is.
    #[cold]
    pub(crate) fn begin(peer: PublicKey, address: &Address, wire: Wire, span: &Span) -> Self {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
        let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let span = span.clone();
        span.in_scope(|| {
            tracing::debug!(target: TARGET, connection, %peer, %address, %wire, "established");
        });
        Self { connection, span }
    }

    /// Tells of records that are behind each other in what leaves.
    #[cold]
    pub(crate) fn sent(&self, mut records: &[u8]) {
        let _entered = self.span.enter();
        while let Some((kind, length)) = describe(records) {
            let connection = self.connection;
            tracing::debug!(target: TARGET, connection, kind, length, "sent");
            records = records.get(length..).unwrap_or_default();
        }
    }

    /// Tells of the record at the start of what has come, if it was opened, or what is wrong with it.
    #[cold]
    pub(crate) fn received<E: fmt::Debug>(
        &self,
        stream: &[u8],
        opened: Result<&Step<E>, &impl fmt::Display>,
    ) {
        let Some((kind, length)) = describe(stream) else {
            return;
        };
        let _entered = self.span.enter();
        let connection = self.connection;
        match opened {
            Ok(Step::Incomplete { .. }) => {}
            Ok(Step::Event { event, .. }) => {
                tracing::debug!(target: TARGET, connection, kind, length, ?event, "received");
            }
            Ok(_) => tracing::debug!(target: TARGET, connection, kind, length, "received"),
            Err(error) => {
                tracing::debug!(target: TARGET, connection, kind, length, %error, "refused");
            }
        }
    }
}

/// Tells of the record by which a listener accepts a peer or refuses it.
#[cold]
pub(crate) fn decided(peer: &PublicKey, record: &[u8]) {
    if let Some((kind, length)) = describe(record) {
        tracing::debug!(target: TARGET, %peer, kind, length, "sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_read_as_the_wire_has_it() {
        assert_eq!(describe(&[0, 0, 0, 16]), Some(("packed", 20)));
        assert_eq!(describe(&[3, 0, 1, 2]), Some(("control", 262)));
        assert_eq!(describe(&[2, 1, 0, 0]), Some(("part", 65_540)));
    }
}
