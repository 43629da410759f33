//! `ringseal-bench scale`: a server with few and with many connections, on one thread and on more.
//!
//! * `arguments`: the command lines of `scale` and of the server that it starts;
//! * `server`: that server; `by_handles`: the same as a program of tokio's; `server_process`: either as a
//!   child; `state`: what it tells; `settings`: those of both ends;
//! * `crowd`: the dialers; `rig`: a server and its crowd;
//! * `bare`: sockets and one cipher call a record, with nothing else;
//! * `run`: what is measured in which order; `row`: what that gives; `report`: words, JSON, chart.

mod arguments;
mod bare;
mod by_handles;
mod crowd;
mod report;
mod rig;
mod row;
mod run;
mod server;
mod server_process;
mod settings;
mod state;

pub(crate) use arguments::{ScaleArgs, ScaleServerArgs};
pub(crate) use run::run;
pub(crate) use server::serve;
