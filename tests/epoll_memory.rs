//! The suite without a ring, over wires in memory.

mod suite;

/// What every runtime of the suite is driven by.
const BACKEND: ringseal::Backend = ringseal::Backend::Epoll;

/// What connects the peers of the suite.
const TRANSPORT: suite::Transport = suite::Transport::Memory;
