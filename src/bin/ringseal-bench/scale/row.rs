//! What is measured: runs, rows, comparisons.

use ringseal::Wire;
use ringseal_cli::failure;
use serde_json::{Value, json};

use crate::median::Median;

/// One run of one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) messages_per_second: f64,
    /// Of both ends, the kernel's part included.
    pub(crate) cpu_us_per_message: f64,
    /// The part of that in the kernel.
    pub(crate) system_us_per_message: f64,
    /// Reads, writes and waits of the server.
    pub(crate) operations_per_message: f64,
}

/// What connections cost that have nothing to do.
#[derive(Clone, Debug)]
pub(crate) struct Idle {
    /// Bytes of heap for each, at the server's end and at the dialer's.
    pub(crate) server_bytes: Option<f64>,
    pub(crate) dialer_bytes: Option<f64>,
    /// Slots in use at the server.
    pub(crate) server_slots: u64,
    /// Cores' worth of processor time.
    pub(crate) server_cpu: f64,
    pub(crate) dialer_cpu: f64,
    /// Connections of each thread of the server.
    pub(crate) spread: Vec<u64>,
}

/// One number of connections on one number of threads.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) wire: Wire,
    pub(crate) connections: u32,
    pub(crate) threads: usize,
    pub(crate) idle: Idle,
    pub(crate) runs: Vec<Run>,
}

impl Row {
    pub(crate) fn rate(&self) -> Option<Median> {
        Median::of(self.runs.iter().map(|run| run.messages_per_second))
    }

    pub(crate) fn cpu(&self) -> Option<Median> {
        Median::of(self.runs.iter().map(|run| run.cpu_us_per_message))
    }

    fn system(&self) -> Option<Median> {
        Median::of(self.runs.iter().map(|run| run.system_us_per_message))
    }

    fn operations(&self) -> Option<Median> {
        Median::of(self.runs.iter().map(|run| run.operations_per_message))
    }

    /// What a message is to take of processor time where `one` is the same with one connection: outside
    /// the kernel no more than there, and in the kernel for each operation of the server what one takes
    /// there. What is above that comes from how many connections there are, and from nothing else.
    pub(crate) fn target(&self, one: &Self) -> Option<f64> {
        let (all, system) = (one.cpu()?.median, one.system()?.median);
        let each = system / one.operations()?.median;
        let target = (all - system) + self.operations()?.median * each;
        Some(target).filter(|target| target.is_finite())
    }

    /// Its throughput over another's, run by run.
    pub(crate) fn over(&self, other: &Self) -> Option<Median> {
        let pairs = self.runs.iter().zip(&other.runs);
        Median::of(
            pairs.map(|(ours, theirs)| ours.messages_per_second / theirs.messages_per_second),
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "wire": self.wire.to_string(),
            "connections": self.connections,
            "threads": self.threads,
            "messages_per_second": self.rate().map(Median::json),
            "cpu_us_per_message": self.cpu().map(Median::json),
            "system_us_per_message": self.system().map(Median::json),
            "operations_per_message": self.operations().map(Median::json),
            "idle": {
                "server_heap_bytes_per_connection": self.idle.server_bytes,
                "dialer_heap_bytes_per_connection": self.idle.dialer_bytes,
                "server_slots_in_use": self.idle.server_slots,
                "server_cpu_cores": self.idle.server_cpu,
                "dialer_cpu_cores": self.idle.dialer_cpu,
                "connections_of_each_thread": self.idle.spread,
            },
        })
    }
}

/// Throughput with something over throughput without it.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) what: String,
    pub(crate) wire: Wire,
    pub(crate) ratio: Median,
}

/// Records a second of the bare pipeline.
#[derive(Clone, Debug)]
pub(crate) struct BareRow {
    pub(crate) threads: usize,
    pub(crate) runs: Vec<f64>,
}

impl BareRow {
    pub(crate) fn over(&self, other: &Self) -> Option<Median> {
        Median::of(
            self.runs
                .iter()
                .zip(&other.runs)
                .map(|(ours, theirs)| ours / theirs),
        )
    }
}

/// All that was measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) rows: Vec<Row>,
    /// The same, served by handles.
    pub(crate) handles: Vec<Row>,
    pub(crate) bare: Vec<BareRow>,
    pub(crate) comparisons: Vec<Comparison>,
    /// What could not be measured, and why.
    pub(crate) skipped: Vec<String>,
}

impl Measured {
    pub(crate) fn skip(&mut self, text: String) {
        failure::warn(&format!("!! SKIPPED: {text}"));
        self.skipped.push(text);
    }
}
