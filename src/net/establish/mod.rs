//! How connections come to be: addresses, dialing, listening, admission.

pub(crate) mod accepted;
pub(crate) mod address;
pub(crate) mod admission;
pub(crate) mod attempt;
pub(crate) mod bind;
pub(crate) mod connect;
pub(crate) mod connection_limit;
pub(crate) mod dial;
pub(crate) mod handshakes;
pub(crate) mod incoming;
pub(crate) mod key_file;
pub(crate) mod listener;
pub(crate) mod outcome;
pub(crate) mod place;
pub(crate) mod progress;
pub(crate) mod redial;
pub(crate) mod socket_listener;
pub(crate) mod source;
pub(crate) mod unix_socket;
