//! Encrypted message streams over io_uring for Linux server backends.

extern crate alloc;

mod memory;
mod net;
pub mod protocol;
mod ring;

pub use net::{
    AcceptError, Address, Admission, AttemptError, BindError, Builder, Config, Connection,
    DialError, Listener, Message, Receiver, RecvError, Reservation, Runtime, SendError, Sender,
    Statistics, dial, spawn,
};
pub use protocol::handshake::{HandshakeError, SakeVersion};
pub use protocol::identity::{Identity, KeyError, PublicKey, Verification};
pub use protocol::record::{CupsVersion, OpenError};
pub use ring::{Registration, StartError, Task};
