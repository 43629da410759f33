//! Whom a log line is about.

use ringseal::{Address, PublicKey};
use serde_json::{Value, json};

/// What a log line says of a peer beside its text: in JSON the fields that the span of a connection has.
#[derive(Clone, Debug)]
pub struct PeerFields {
    /// Who it is, once that is proved.
    pub peer: Option<PublicKey>,
    /// Where it comes from.
    pub address: Address,
}

impl PeerFields {
    /// They stand where those of the span of an event do.
    pub(crate) fn span(&self) -> Value {
        let mut span = json!({ "name": "connection", "address": self.address.to_string() });
        if let Some(peer) = &self.peer {
            span["peer"] = peer.short().to_string().into();
        }
        span
    }
}
