//! What the server says of itself, in JSON over a pipe.

use std::fs;
use std::time::Instant;

use ringseal::Statistics;
use ringseal_cli::failure::Failure;
use rustix::param::clock_ticks_per_second;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::heap;

/// The server at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Nanoseconds since it started.
    pub(crate) at_ns: u64,
    /// Nanoseconds that its threads have run.
    pub(crate) cpu_ns: u64,
    /// Nanoseconds of those in the kernel, by its clock's ticks.
    pub(crate) system_ns: u64,
    /// Operations that were handed to the driver.
    pub(crate) operations: u64,
    /// Bytes of heap in use; `None` where the C library does not tell.
    pub(crate) heap: Option<u64>,
    /// Messages that have come.
    pub(crate) messages: u64,
    pub(crate) slots_in_use: u64,
    /// Connections of each thread.
    pub(crate) spread: Vec<u64>,
}

impl State {
    /// Returns what is told of this process, whose ring threads together have `runtime`.
    pub(crate) fn of(start: Instant, runtime: Option<Statistics>, spread: Vec<u64>) -> Self {
        Self {
            at_ns: u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
            cpu_ns: cpu_ns(),
            system_ns: system_ns(),
            operations: runtime.map_or(0, |runtime| runtime.submissions),
            heap: heap::in_use().map(|bytes| bytes as u64),
            messages: runtime.map_or(0, |runtime| runtime.messages_received),
            slots_in_use: runtime.map_or(0, |runtime| (runtime.slots - runtime.free_slots) as u64),
            spread,
        }
    }

    pub(crate) fn encode(&self) -> String {
        json!({
            "at_ns": self.at_ns,
            "cpu_ns": self.cpu_ns,
            "system_ns": self.system_ns,
            "operations": self.operations,
            "heap": self.heap,
            "messages": self.messages,
            "slots_in_use": self.slots_in_use,
            "spread": self.spread,
        })
        .to_string()
    }

    pub(crate) fn decode(text: &str) -> Result<Self, Failure> {
        let value: Value = serde_json::from_str(text)
            .map_err(|_| Failure::new("the server's process does not say its state"))?;
        let number = |name: &str| {
            let number = value[name].as_u64();
            number.ok_or_else(|| Failure::new(format!("the server's state has no {name}")))
        };
        let spread = value["spread"].as_array().into_iter().flatten();
        Ok(Self {
            at_ns: number("at_ns")?,
            cpu_ns: number("cpu_ns")?,
            system_ns: number("system_ns")?,
            operations: number("operations")?,
            heap: value["heap"].as_u64(),
            messages: number("messages")?,
            slots_in_use: number("slots_in_use")?,
            spread: spread.filter_map(Value::as_u64).collect(),
        })
    }

    pub(crate) fn connections(&self) -> u64 {
        self.spread.iter().sum()
    }
}

/// Nanoseconds that all threads of this process have run.
pub(crate) fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // Processor time is never negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Nanoseconds that all threads of this process have run in the kernel, rounded to its ticks; 0 where it
/// does not tell.
pub(crate) fn system_ns() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may have spaces in it. The field is the fifteenth, and the first two are
    // before.
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = behind_name.split_ascii_whitespace().nth(15 - 3);
    let ticks = ticks.and_then(|ticks| ticks.parse::<u64>().ok());
    ticks.unwrap_or(0) * (1_000_000_000 / clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_crosses_and_anything_else_is_refused() {
        let state = State {
            at_ns: 1,
            cpu_ns: 2,
            system_ns: 7,
            operations: 8,
            heap: None,
            messages: 3,
            slots_in_use: 4,
            spread: vec![5, 6],
        };
        let decoded = State::decode(&state.encode());
        assert!(matches!(decoded, Ok(decoded) if decoded == state));
        assert_eq!(state.connections(), 11);
        assert!(State::decode("hello").is_err() && State::decode("{}").is_err());
    }
}
