//! What has changed for users, newest first.
//!
//! A change that breaks a program or a wire is named under **Breaks**. Until 1.0 it comes with a new minor
//! version.
//!
//! # 0.1.0, not published yet
//!
//! The first version: connections on io_uring, tokio-uring and epoll; the native wire and the wire of
//! `commonware-stream` 2026.10.0; servers on every core; handles for other executors; a redialer; the
//! programs `ringseal` and `ringseal-bench`.
