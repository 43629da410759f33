//! What this crate promises, what it does not, and how to report a fault.
//!
//! # Promised
//!
//! * **Confidentiality and authenticity**: what [`wires`](super::wires) lists for the wire that you take,
//!   against everybody who can read, change, drop, repeat and inject what crosses the network.
//! * **Nothing that a stranger sends** panics, takes memory beyond the limits of [`limits`](super::limits),
//!   or reaches you unauthenticated. A peer that you have admitted is held to the same limits.
//! * **Memory safety**: `unsafe` stands in a few files, which a test lists; memory that the kernel may
//!   still write is never freed or used again.
//! * **Secrets** are wiped when the connection is dropped; a test searches the memory of the process for
//!   them, also in optimized code. What a library leaves in a register is beyond reach.
//! * **Versions**: a change of what is public in this crate that breaks users is a new minor version while
//!   the major one is 0. Both wires are specified with vectors, in `tests/vectors`, and ends of different
//!   versions of this crate understand each other unless [`releases`](super::releases) says otherwise.
//!   Rust versions are supported for about a year; the oldest is `rust-version` in `Cargo.toml`.
//!
//! # Not promised
//!
//! * **An audit.** Nobody outside this project has reviewed it, neither the native wire's design nor the
//!   code. [`dependencies`](super::dependencies) says what is known of the libraries below.
//! * Anything against somebody who can read the memory of either process or holds its identity key.
//! * That nobody sees that two hosts talk, when, and about how much.
//! * Equal times: secrets are compared in constant time and ciphers are the libraries' own, but nobody has
//!   measured what a machine's caches tell a neighbour on the same processor.
//! * That a message arrives: [`SendProgress`](crate::SendProgress) says what is known of one.
//! * The feature `internals`, and figures: they are of the machines that they name.
//! * FreeBSD and macOS: the crate compiles for them, and nobody has run it there.
//!
//! # What is tried, and by what
//!
//! | what | by |
//! |---|---|
//! | the suite on every driver and transport, the programs, interoperation with `commonware-stream` | `cargo test --workspace` |
//! | connections on a hostile simulated network, from a seed | `cargo run -p ringseal-simulation` |
//! | what threads share, in every order with at most 3 preemptions of a thread | `cargo test -p ringseal-models` |
//! | inputs that nobody has thought of | `tests/fuzz/run` |
//! | use after free of the heap, leaks, data races, undefined behaviour of the room with `unsafe` | `.ci/sanitize --all` |
//! | licences, sources, duplicates and known faults of dependencies; the oldest Rust | `.ci/supply` |
//! | these, as for every change | `.ci/run` |
//!
//! `.ci/run` looks for use after free and leaks in a part of the suite; the whole of it, data races and
//! undefined behaviour are looked for by hand. No sanitizer sees what the kernel writes, nor a slot that
//! is used after it was given back: what a slot holds is checked message by message instead, by the
//! suite, the simulation and the soak.
//!
//! # Report a fault
//!
//! If it may harm users, tell nobody else first: write in private to whoever gave you the source, or in
//! the private reports of the place that you have it from. Say which version, which features, which
//! kernel and driver (the output of `ringseal doctor --json`), and what happens, if you can with a
//! program or the seed that shows it. Leave out keys, and messages that are secret. Other faults are
//! best reported in public.
