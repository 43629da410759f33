//! What has to hold on every driver. The files beside this directory run it on one each.

mod adapters;
mod allocations;
mod connection;
mod executor;
mod limits;
mod listener;
mod peers;
mod teardown;
mod time_limits;
mod transport;

#[allow(unused_imports, reason = "for what one driver alone can do")]
pub(crate) use peers::{config, key, pair, pattern, run_with};
pub(crate) use transport::Transport;
