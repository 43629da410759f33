//! What the dialer of a measurement wants done and what its listener answers: what `ringseal-bench` says
//! to itself, in JSON.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::args::BackendName;
use crate::failure::Failure;

/// Both ends have to be this program in the same version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// More in one call would only be a longer queue.
pub const MAX_BATCH: u32 = 65_536;

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// Dialer to listener.
    Send,
    /// Listener to dialer.
    Receive,
    /// Both ways at once.
    Both,
    /// There and back, one at a time on each connection: latency.
    Ping,
}

/// What is sent, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Which way.
    pub direction: Direction,
    /// Bytes in a message.
    pub size: u32,
    /// Messages in one call.
    pub batch: u32,
}

/// What the dialer wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkOrder {
    /// What is sent.
    pub work: Work,
    /// Over how many connections.
    pub connections: u32,
}

impl WorkOrder {
    /// Writes it for the listener.
    pub fn encode(&self) -> Vec<u8> {
        let order = json!({
            "version": VERSION,
            "direction": name(self.work.direction),
            "size": self.work.size,
            "batch": self.work.batch,
            "connections": self.connections,
        });
        order.to_string().into_bytes()
    }

    /// Reads an order and checks that this end is prepared for so many connections and for messages
    /// that are no longer than `limit` bytes.
    ///
    /// # Errors
    ///
    /// What it is not prepared for, or that it is no order.
    pub fn decode(bytes: &[u8], connections: u32, limit: u32) -> Result<Self, Failure> {
        let value = parse(bytes)?;
        if value["version"] != VERSION {
            return Err(Failure::new(format!(
                "the listener is ringseal {VERSION} and the dialer is not; use one version"
            )));
        }
        let direction = value["direction"].as_str().unwrap_or_default();
        let order = Self {
            work: Work {
                direction: Direction::from_str(direction, false)
                    .map_err(|_| Failure::new("the other end names no valid direction"))?,
                size: number(&value, "size")?,
                batch: number::<u32>(&value, "batch")?.clamp(1, MAX_BATCH),
            },
            connections: number(&value, "connections")?,
        };
        if order.work.size > limit {
            return Err(Failure::new(format!(
                "the listener takes messages of {limit} bytes at most; start it with --size {}",
                order.work.size
            )));
        }
        if order.connections > connections {
            return Err(Failure::new(format!(
                "the listener is prepared for {connections} connections; start it with --connections {}",
                order.connections
            )));
        }
        Ok(order)
    }
}

/// What one end runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The cipher of the commonware wire.
    pub aead: String,
    /// The driver.
    pub backend: String,
    /// For how many microseconds a thread looks for work before each sleep; 0 where it decides by itself.
    pub busy_poll_us: u64,
    /// How many slots there are.
    pub slots: u64,
    /// Bytes in a slot.
    pub slot_size: u64,
    /// Submissions that fit the ring.
    pub ring_entries: u64,
    /// Whether the slots are registered with the kernel.
    pub registered: bool,
    /// The core that it is pinned to.
    pub core: Option<u64>,
}

impl Description {
    /// Whether there is a ring and its slots are not registered with it.
    pub fn could_register(&self) -> bool {
        !self.registered && self.backend != BackendName::Epoll.to_string()
    }

    /// As the report has it.
    pub fn json(&self) -> Value {
        json!({
            "aead": self.aead,
            "backend": self.backend,
            "busy_poll_us": self.busy_poll_us,
            "slots": self.slots,
            "slot_size_bytes": self.slot_size,
            "ring_entries": self.ring_entries,
            "registered": self.registered,
            "core": self.core,
        })
    }

    /// What the listener answers to an order.
    pub fn encode(answer: &Result<Self, String>) -> Vec<u8> {
        let value = match answer {
            Ok(description) => description.json(),
            Err(text) => json!({ "refused": text }),
        };
        value.to_string().into_bytes()
    }

    /// Reads what the listener has answered.
    ///
    /// # Errors
    ///
    /// Why it has refused, or that it is no answer.
    pub fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let value = parse(bytes)?;
        if let Some(text) = value["refused"].as_str() {
            return Err(Failure::new(text));
        }
        Ok(Self {
            aead: value["aead"].as_str().unwrap_or("unknown").to_owned(),
            backend: value["backend"].as_str().unwrap_or("unknown").to_owned(),
            busy_poll_us: number(&value, "busy_poll_us")?,
            slots: number(&value, "slots")?,
            slot_size: number(&value, "slot_size_bytes")?,
            ring_entries: number(&value, "ring_entries")?,
            registered: value["registered"] == true,
            core: value["core"].as_u64(),
        })
    }
}

/// The name of a direction on the command line.
pub fn name(direction: Direction) -> String {
    direction
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|_| Failure::new("the other end does not speak as `ringseal-bench` does"))
}

fn number<N: TryFrom<u64>>(value: &Value, field: &str) -> Result<N, Failure> {
    value[field]
        .as_u64()
        .and_then(|number| number.try_into().ok())
        .ok_or_else(|| Failure::new(format!("the other end names no valid {field}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> WorkOrder {
        WorkOrder {
            work: Work {
                direction: Direction::Both,
                size: 64,
                batch: 3,
            },
            connections: 2,
        }
    }

    #[test]
    fn orders_cross_and_what_the_listener_is_not_prepared_for_is_refused() {
        let decode = |order: WorkOrder| WorkOrder::decode(&order.encode(), 2, 100);
        assert!(matches!(decode(order()), Ok(decoded) if decoded == order()));
        let mut large = order();
        large.work.size = 101;
        let text = |result| match result {
            Err(Failure::Failed(text)) => text,
            other => panic!("not refused: {other:?}"),
        };
        assert!(text(decode(large)).contains("--size 101"));
        let many = WorkOrder {
            connections: 3,
            ..order()
        };
        assert!(text(decode(many)).contains("--connections 3"));
        assert!(text(WorkOrder::decode(b"hello", 2, 100)).contains("ringseal-bench"));
        assert!(text(WorkOrder::decode(b"{}", 2, 100)).contains("one version"));
        let astray = json!({ "version": VERSION, "direction": "\u{1b}[2J" }).to_string();
        let said = text(WorkOrder::decode(astray.as_bytes(), 2, 100));
        assert!(said.contains("direction") && !said.contains('\u{1b}'));
    }

    #[test]
    fn descriptions_and_refusals_cross() {
        let description = Description {
            aead: "some".to_owned(),
            backend: "uring".to_owned(),
            busy_poll_us: 7,
            slots: 10,
            slot_size: 4096,
            ring_entries: 256,
            registered: true,
            core: None,
        };
        let encoded = Description::encode(&Ok(description.clone()));
        assert!(matches!(Description::decode(&encoded), Ok(decoded) if decoded == description));
        let refused = Description::encode(&Err("because".to_owned()));
        assert!(matches!(
            Description::decode(&refused),
            Err(Failure::Failed(text)) if text == "because"
        ));
    }
}
