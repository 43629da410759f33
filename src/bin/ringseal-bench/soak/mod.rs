//! `ringseal-bench soak`: connections of all kinds for minutes or hours, checked.
//!
//! * `arguments`: the command line;
//! * `random`, `content`, `plan`: what follows from the seed: bytes, messages, connections;
//! * `checker`: whether what comes is what was sent; `play`: an end of a connection;
//!   `progress`: whether it moves;
//! * `relay`: who cuts connections; `rig`: a driver with its server and its lanes;
//! * `ledger`: what all of them share; `run`: starts, rests, looks and ends;
//! * `state`: what is printed, compared and drawn.

mod arguments;
mod checker;
mod content;
mod ledger;
mod plan;
mod play;
mod progress;
mod random;
mod relay;
mod rig;
mod run;
mod state;

pub(crate) use arguments::SoakArgs;
pub(crate) use run::run;
