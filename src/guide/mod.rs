//! How to do with this crate what servers have to do, in pages with examples that run; and what there is
//! to know of the crate itself.
//!
//! * [`ways_of_use`]: bound to a thread or from any thread, over sockets or streams of your own,
//!   in tests; with a ring or without.
//! * [`handlers`]: what a server does with its connections, by three examples.
//! * [`shutdown`]: end without losing what was sent.
//! * [`reconnecting`]: dial again what was lost, and know what to say again.
//! * [`many_cores`]: more than one thread that serves.
//! * [`wires`]: which of the two wires to take.
//! * [`limits`]: what each end allows, the defaults, and what memory that comes to.
//! * [`service_manager`]: a server under systemd.
//! * [`logging`]: what the crate logs by itself, and what it leaves to you.
//! * [`metrics`]: counters, and how to hand them to a monitoring system.
//! * [`promises`]: what is promised and what is not, what is tried, and how to report a fault.
//! * [`dependencies`]: what the crate is built from, and what is known of its cryptography.
//! * [`releases`]: what has changed.

pub mod dependencies;
pub mod handlers;
pub mod limits;
pub mod logging;
pub mod many_cores;
pub mod metrics;
pub mod promises;
pub mod reconnecting;
pub mod releases;
pub mod service_manager;
pub mod shutdown;
pub mod ways_of_use;
pub mod wires;
