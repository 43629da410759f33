//! Sockets that carry bytes as they are, on the ring of a runtime: the plain side of a tunnel.
//!
//! ```text
//! plain peer -> socket --kernel reads into--> reservation, sealed in place -> connection
//! plain peer <- socket <--kernel reads from-- message, opened in place    <- connection
//! ```
//!
//! Nothing is copied on the way: a read fills the submission buffer that the message is sealed in,
//! and a write takes its bytes from the slot that the record was read into. What is in flight belongs
//! to the link, not to the future that waits for it.

mod error;
mod link;
mod reader;
mod socket;
mod writer;

pub use error::{PlainConnectError, PlainSocketError};
pub use reader::PlainReader;
pub use socket::PlainSocket;
pub use writer::PlainWriter;
