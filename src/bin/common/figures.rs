//! How much went through in which time: how it is counted, and how it is told in words and in JSON.

use core::fmt;
use core::time::Duration;
use std::time::Instant;

use ringseal::PublicKey;
use serde_json::{Value, json};

/// Within less time there is no rate: what is measured then is how the messages were read.
const SHORTEST_SPAN: Duration = Duration::from_millis(10);

/// Counts messages from the first one on.
#[derive(Debug, Default)]
pub struct Tally {
    started: Option<Instant>,
    messages: u64,
    bytes: u64,
}

impl Tally {
    /// Counts from now on, where whoever sends begins not before.
    pub fn starting_now() -> Self {
        Self {
            started: Some(Instant::now()),
            ..Self::default()
        }
    }

    /// Counts a message of `length` bytes.
    #[inline]
    pub fn add(&mut self, length: usize) {
        if self.started.is_none() {
            self.started = Some(Instant::now());
        }
        self.messages += 1;
        self.bytes += length as u64;
    }

    /// Returns how many were counted.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The figures for the time up to now.
    pub fn figures(&self) -> Figures {
        Figures {
            messages: self.messages,
            bytes: self.bytes,
            elapsed: self.started.map_or(Duration::ZERO, |at| at.elapsed()),
        }
    }
}

/// How much went through in which time.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Messages that were counted.
    pub messages: u64,
    /// The lengths of them together.
    pub bytes: u64,
    /// From the first of them to the last look.
    pub elapsed: Duration,
}

impl Figures {
    /// As a JSON object.
    pub fn json(&self) -> Value {
        json!({
            "messages": self.messages,
            "bytes": self.bytes,
            "seconds": self.elapsed.as_secs_f64(),
            "bytes_per_second": self.rate(self.bytes),
            "messages_per_second": self.rate(self.messages),
        })
    }

    /// As a JSON object that also names the peer.
    pub fn json_with_peer(&self, peer: PublicKey) -> Value {
        let mut value = self.json();
        value["peer"] = peer.to_string().into();
        value
    }

    /// `None` where too little was measured to speak of a rate.
    fn rate(&self, count: u64) -> Option<f64> {
        if self.messages == 0 {
            return Some(0.0);
        }
        let is_enough = self.messages > 1 && self.elapsed >= SHORTEST_SPAN;
        is_enough.then(|| count as f64 / self.elapsed.as_secs_f64())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} messages, {} bytes in {:.2} seconds",
            self.messages,
            self.bytes,
            self.elapsed.as_secs_f64(),
        )?;
        match (self.rate(self.bytes), self.rate(self.messages)) {
            (Some(bytes), Some(messages)) => {
                write!(
                    formatter,
                    ": {:.1} MB/s, {messages:.0} messages/s",
                    bytes / 1e6
                )
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_rate_of_one_message_or_of_too_short_a_time() {
        let figures = |messages, elapsed| Figures {
            messages,
            bytes: 10 * messages,
            elapsed,
        };
        let just_less = SHORTEST_SPAN - Duration::from_nanos(1);
        for (messages, elapsed) in [(1, Duration::from_secs(9)), (1000, just_less)] {
            let figures = figures(messages, elapsed);
            let json = figures.json();
            for rate in ["messages_per_second", "bytes_per_second"] {
                assert_eq!(json[rate], Value::Null);
            }
            assert_eq!(json["messages"], messages);
            assert!(figures.to_string().ends_with(" seconds"), "{figures}");
        }
        let figures = figures(2, SHORTEST_SPAN);
        assert_eq!(figures.json()["messages_per_second"], 200.0);
        assert!(figures.to_string().contains("200 messages/s"), "{figures}");
    }

    #[test]
    fn rates_of_nothing_are_zero() {
        let json = Tally::default().figures().json();
        assert_eq!(json["messages_per_second"], 0.0);
        assert_eq!(json["seconds"], 0.0);
    }
}
