//! Who may come in to a server, and how many, from several threads.

#[path = "../../../src/server/client_place.rs"]
mod client_place;
#[path = "../../../src/server/counters.rs"]
mod counters;
#[path = "../../../src/server/entrance.rs"]
mod entrance;
mod error;
#[path = "../../../src/server/handshake_rate.rs"]
mod handshake_rate;
#[path = "../../../src/server/limits.rs"]
mod limits;
pub(crate) mod models;
#[path = "../../../src/server/statistics.rs"]
mod statistics;
