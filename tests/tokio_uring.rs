//! The suite on tokio-uring. Meant to run under AddressSanitizer as well: `.ci/run` does.

mod suite;

/// What every runtime of the suite is driven by.
const BACKEND: ringseal::Backend = ringseal::Backend::TokioUring;

/// What connects the peers of the suite.
const TRANSPORT: suite::Transport = suite::Transport::Tcp;
