//! What the server says of itself, in JSON over a pipe.

use ringseal_cli::failure::Failure;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// The server at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Nanoseconds since it started.
    pub(crate) at_ns: u64,
    /// Nanoseconds that its threads have run.
    pub(crate) cpu_ns: u64,
    /// Bytes of heap in use; `None` where the C library does not tell.
    pub(crate) heap: Option<u64>,
    /// Messages that have come.
    pub(crate) messages: u64,
    pub(crate) slots_in_use: u64,
    /// Connections of each thread.
    pub(crate) spread: Vec<u64>,
}

impl State {
    pub(crate) fn encode(&self) -> String {
        json!({
            "at_ns": self.at_ns,
            "cpu_ns": self.cpu_ns,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_crosses_and_anything_else_is_refused() {
        let state = State {
            at_ns: 1,
            cpu_ns: 2,
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
