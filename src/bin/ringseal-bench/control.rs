//! The connection that carries commands, the first of each run.
//!
//! The dialer says what it wants done and the listener answers what it runs on, both in JSON. Then
//! the dialer makes the data connections and the listener says when it has them all. After that
//! each exchange is one command and one answer of a fixed size, so that asking disturbs what is
//! measured as little as possible: one read and one write on each end, which the figures leave
//! out, and no allocation.

use core::time::Duration;

use clap::ValueEnum;
use ringseal::protocol::cipher::{Aead, DefaultAead};
use ringseal::{Connection, Statistics, timeout};
use ringseal_cli::args::BackendName;
use ringseal_cli::failure::Failure;
use serde_json::{Value, json};

use super::arguments::{Direction, MAX_BATCH};
use super::settings::Settings;
use super::snapshot::Snapshot;
use super::workload::Work;

/// How long the other end may take for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// All data connections are there.
pub(crate) const READY: &[u8] = b"ready";
/// Asks for a snapshot.
pub(crate) const MARK: &[u8] = b"mark";
/// Ends the run; answered with the same.
pub(crate) const END: &[u8] = b"end";
/// Why no answer may come.
const SILENT: &str = "the listener does not answer; it serves one dialer at a time, and with too \
                      few --slots it comes to a halt";
const GONE: &str = "the listener has gone; if that was at once, compare --wire on both ends";
/// Both ends have to be this program in the same version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the dialer wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) work: Work,
    pub(crate) connections: u32,
}

impl Order {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let order = json!({
            "version": VERSION,
            "direction": name(self.work.direction),
            "size": self.work.size,
            "batch": self.work.batch,
            "connections": self.connections,
        });
        order.to_string().into_bytes()
    }

    /// Reads an order and checks that this end is prepared for it.
    pub(crate) fn decode(bytes: &[u8], settings: &Settings, limit: u32) -> Result<Self, Failure> {
        let value = parse(bytes)?;
        if value["version"] != VERSION {
            return Err(Failure::new(format!(
                "the listener is ringseal {VERSION} and the dialer is not; use one version"
            )));
        }
        let direction = value["direction"].as_str().unwrap_or_default();
        let order = Self {
            work: Work {
                direction: Direction::from_str(direction, false).map_err(Failure::new)?,
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
        if order.connections > settings.connections {
            return Err(Failure::new(format!(
                "the listener is prepared for {} connections; start it with --connections {}",
                settings.connections, order.connections
            )));
        }
        Ok(order)
    }
}

/// What one end runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) aead: String,
    pub(crate) backend: String,
    pub(crate) busy_poll_us: u64,
    pub(crate) slots: u64,
    pub(crate) slot_size: u64,
    pub(crate) ring_entries: u64,
    pub(crate) registered: bool,
    pub(crate) core: Option<u64>,
}

impl Description {
    /// Whether there is a ring and its slots are not registered with it.
    pub(crate) fn could_register(&self) -> bool {
        !self.registered && self.backend != BackendName::Epoll.to_string()
    }

    /// Of this end, from inside its runtime.
    pub(crate) fn of(settings: &Settings, core: Option<usize>) -> Self {
        let statistics = Statistics::current();
        let registered = statistics.is_some_and(|statistics| statistics.registered);
        // What `auto` has become.
        let backend = statistics.map_or(settings.ring.backend, |statistics| {
            BackendName::of(statistics.backend)
        });
        Self {
            aead: DefaultAead::name().to_owned(),
            backend: backend.to_string(),
            busy_poll_us: u64::from(settings.ring.busy_poll),
            slots: settings.slots as u64,
            slot_size: settings.slot_size as u64,
            ring_entries: u64::from(settings.ring_entries),
            registered,
            core: core.map(|core| core as u64),
        }
    }

    pub(crate) fn json(&self) -> Value {
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
    pub(crate) fn encode(answer: &Result<Self, String>) -> Vec<u8> {
        let value = match answer {
            Ok(description) => description.json(),
            Err(text) => json!({ "refused": text }),
        };
        value.to_string().into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Failure> {
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
pub(crate) fn name(direction: Direction) -> String {
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

/// The dialer's end of the connection.
#[derive(Debug)]
pub(crate) struct Control {
    connection: Connection,
}

impl Control {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Says what to do; gives what the listener runs on.
    pub(crate) async fn order(&mut self, order: &Order) -> Result<Description, Failure> {
        self.connection.send(&order.encode()).await?;
        Description::decode(&self.answer().await?)
    }

    /// Waits until the listener has all data connections.
    pub(crate) async fn ready(&mut self) -> Result<(), Failure> {
        let answer = self.answer().await?;
        (*answer == *READY)
            .then_some(())
            .ok_or_else(|| Failure::new("the listener answered something else than asked for"))
    }

    /// Asks for the listener's figures.
    pub(crate) async fn mark(&mut self) -> Result<Snapshot, Failure> {
        self.connection.send(MARK).await?;
        Snapshot::decode(&self.answer().await?)
            .ok_or_else(|| Failure::new("the listener's figures cannot be read"))
    }

    /// Ends the run. Nothing depends on the answer but that the listener is told in peace.
    pub(crate) async fn end(mut self) {
        if self.connection.send(END).await.is_ok() {
            let _ = self.answer().await;
        }
    }

    async fn answer(&mut self) -> Result<ringseal::Message, Failure> {
        let answer = timeout(PATIENCE, self.connection.recv())
            .await
            .ok_or_else(|| Failure::new(SILENT))?;
        answer
            .map_err(|error| Failure::with_advice(&error, GONE))?
            .ok_or_else(|| Failure::new(GONE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringseal_cli::args::{BackendName, RingArgs};

    fn settings() -> Settings {
        Settings {
            size: 64,
            connections: 2,
            wire: "v1,v1".parse().expect("a wire"),
            slots: 10,
            slot_size: 4096,
            ring_entries: 256,
            ring: RingArgs {
                backend: BackendName::Uring,
                busy_poll: 0,
            },
            time_limit: None,
        }
    }

    fn order() -> Order {
        Order {
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
        let decode = |order: Order| Order::decode(&order.encode(), &settings(), 100);
        assert!(matches!(decode(order()), Ok(decoded) if decoded == order()));
        let mut large = order();
        large.work.size = 101;
        let text = |result| match result {
            Err(Failure::Failed(text)) => text,
            other => panic!("not refused: {other:?}"),
        };
        assert!(text(decode(large)).contains("--size 101"));
        let many = Order {
            connections: 3,
            ..order()
        };
        assert!(text(decode(many)).contains("--connections 3"));
        assert!(text(Order::decode(b"hello", &settings(), 100)).contains("ringseal-bench"));
        assert!(text(Order::decode(b"{}", &settings(), 100)).contains("one version"));
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
