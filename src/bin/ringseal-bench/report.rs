//! A measurement in words and in JSON.

use core::fmt;
use core::time::Duration;

use ringseal::Wire;
use ringseal_cli::snapshot::Snapshot;
use ringseal_cli::work_order::{Description, Direction, Work, name};
use serde_json::{Value, json};

use super::measurement::{Measurement, Progress, Window, ratio};

/// Where the two ends were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Two threads of one process.
    Threads,
    /// Two processes, on one host or on two.
    Processes,
}

/// All that is told of a run.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) work: Work,
    pub(crate) connections: u32,
    pub(crate) wire: Wire,
    pub(crate) warmup: Duration,
    pub(crate) ends: Ends,
    pub(crate) measurement: &'a Measurement,
}

impl Report<'_> {
    fn window(&self) -> Window {
        self.measurement.window(self.work.direction)
    }

    /// CPU time of everything that worked for the run, the kernel's io_uring workers included.
    fn cpu_seconds(&self, window: &Window) -> f64 {
        let nanoseconds = match self.ends {
            // Either end sees the whole process.
            Ends::Threads => window.dialer.process_cpu_ns,
            Ends::Processes => window.sum(|end| end.process_cpu_ns),
        };
        nanoseconds as f64 / 1e9
    }

    pub(crate) fn json(&self) -> Value {
        let measurement = self.measurement;
        let window = self.window();
        let messages = window.messages as f64;
        let bytes = window.bytes as f64;
        let heap_allocations = window.sum(|end| end.heap_allocations);
        let heap_bytes = window.sum(|end| end.heap_bytes);
        let moved_bytes = window.sum(|end| end.moved_bytes);
        let reads = window.sum(|end| end.reads);
        let writes = window.sum(|end| end.writes);
        let cpu_seconds = self.cpu_seconds(&window);
        let per_message = |count: u64| ratio(count as f64, messages);
        let mut value = json!({
            "loop": "closed",
            "direction": name(self.work.direction),
            "size_bytes": self.work.size,
            "batch_messages": self.work.batch,
            "connections": self.connections,
            "wire": self.wire.to_string(),
            "processes": match self.ends { Ends::Threads => 1, Ends::Processes => 2 },
            "warmup_seconds": self.warmup.as_secs_f64(),
            "seconds": window.seconds,
            "interrupted": measurement.interrupted,
            "messages": window.messages,
            "bytes": window.bytes,
            "messages_per_second": ratio(messages, window.seconds),
            "gigabytes_per_second": ratio(bytes / 1e9, window.seconds),
            "cpu_seconds": cpu_seconds,
            "cpu_seconds_per_gigabyte": (window.bytes > 0).then(|| cpu_seconds / (bytes / 1e9)),
            "cpu_us_per_message": ratio(cpu_seconds * 1e6, messages),
            "heap_allocations": heap_allocations,
            "heap_allocations_per_message": per_message(heap_allocations),
            "heap_bytes_per_message": per_message(heap_bytes),
            "moved_bytes": moved_bytes,
            "moved_bytes_per_message": per_message(moved_bytes),
            "moved_bytes_share": ratio(moved_bytes as f64, bytes),
            "reads_per_message": per_message(reads),
            "writes_per_message": per_message(writes),
            "dialer": end(&measurement.dialer, &window.dialer),
            "listener": end(&measurement.listener, &window.listener),
        });
        if self.work.direction == Direction::Ping {
            let times = &measurement.round_trips;
            value["round_trips"] = times.count().into();
            for (name, per_mille) in PERCENTILES {
                value[format!("round_trip_{name}_us")] = times.percentile_us(per_mille).into();
            }
            value["round_trip_max_us"] = times.max_us().into();
        }
        value
    }
}

/// Names, and how many of 1000 round trips are within.
const PERCENTILES: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p99_9", 999)];

fn end(description: &Description, counted: &Snapshot) -> Value {
    let mut value = description.json();
    for (name, number) in [
        ("messages_received", counted.messages),
        ("bytes_received", counted.bytes),
        ("reads", counted.reads),
        ("writes", counted.writes),
        ("moved_bytes", counted.moved_bytes),
        ("slot_waits", counted.slot_waits),
        ("large_blocks", counted.large_blocks),
        ("heap_allocations", counted.heap_allocations),
        ("heap_bytes", counted.heap_bytes),
    ] {
        value[name] = number.into();
    }
    for (name, nanoseconds) in [
        ("seconds", counted.at_ns),
        ("thread_cpu_seconds", counted.thread_cpu_ns),
        ("process_cpu_seconds", counted.process_cpu_ns),
    ] {
        value[name] = (nanoseconds as f64 / 1e9).into();
    }
    value
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measurement = self.measurement;
        let window = self.window();
        let (messages, bytes) = (window.messages as f64, window.bytes as f64);
        let per_message = |count: u64| ratio(count as f64, messages);
        let cpu_seconds = self.cpu_seconds(&window);
        let busy = |end: &Snapshot| 100.0 * ratio(end.thread_cpu_ns as f64, end.at_ns as f64);

        writeln!(
            formatter,
            "{}, closed loop: messages of {} bytes, {} in one call, {} connection{}, wire {}",
            name(self.work.direction),
            self.work.size,
            self.work.batch,
            self.connections,
            if self.connections == 1 { "" } else { "s" },
            self.wire,
        )?;
        writeln!(
            formatter,
            "measured    {:.3} s after {} s of warm-up{}: {} messages, {} bytes received",
            window.seconds,
            self.warmup.as_secs_f64(),
            if measurement.interrupted {
                ", ended early"
            } else {
                ""
            },
            window.messages,
            window.bytes,
        )?;
        writeln!(
            formatter,
            "throughput  {:.3} GB/s, {:.0} messages/s",
            ratio(bytes / 1e9, window.seconds),
            ratio(messages, window.seconds),
        )?;
        if self.work.direction == Direction::Ping {
            let times = &measurement.round_trips;
            write!(formatter, "round trip ")?;
            for (name, per_mille) in PERCENTILES {
                let name = name.replace('_', ".");
                write!(
                    formatter,
                    " {name} {:.1} µs,",
                    times.percentile_us(per_mille)
                )?;
            }
            writeln!(
                formatter,
                " max {:.1} µs, of {}",
                times.max_us(),
                times.count()
            )?;
        }
        write!(formatter, "CPU         ")?;
        if window.bytes > 0 {
            write!(formatter, "{:.3} s per GB, ", cpu_seconds / (bytes / 1e9))?;
        }
        writeln!(
            formatter,
            "{:.3} µs per message; dialer's thread {:.0} % busy, listener's {:.0} %",
            ratio(cpu_seconds * 1e6, messages),
            busy(&window.dialer),
            busy(&window.listener),
        )?;
        writeln!(
            formatter,
            "heap        {:.6} allocations and {:.3} bytes per message",
            per_message(window.sum(|end| end.heap_allocations)),
            per_message(window.sum(|end| end.heap_bytes)),
        )?;
        let moved = window.sum(|end| end.moved_bytes);
        writeln!(
            formatter,
            "copies      {:.1} bytes moved per message, {:.3} % of all bytes",
            per_message(moved),
            100.0 * ratio(moved as f64, bytes),
        )?;
        writeln!(
            formatter,
            "kernel      {:.5} reads and {:.5} writes per message; {} waits for a slot",
            per_message(window.sum(|end| end.reads)),
            per_message(window.sum(|end| end.writes)),
            window.sum(|end| end.slot_waits),
        )?;
        for (name, description) in [
            ("dialer  ", &measurement.dialer),
            ("listener", &measurement.listener),
        ] {
            write!(formatter, "{name}    ")?;
            match description.core {
                Some(core) => write!(formatter, "core {core}, ")?,
                None => write!(formatter, "no core of its own, ")?,
            }
            write!(
                formatter,
                "{} slots of {} bytes, {}, {} ring of {} entries, {} us of busy polling, {}",
                description.slots,
                description.slot_size,
                if description.registered {
                    "registered"
                } else {
                    "NOT registered"
                },
                description.backend,
                description.ring_entries,
                description.busy_poll_us,
                description.aead,
            )?;
            if name == "dialer  " {
                writeln!(formatter)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:7.1} s  {:7.3} GB/s  {:9.0} messages/s",
            self.seconds,
            self.bytes_per_second / 1e9,
            self.messages_per_second
        )
    }
}
