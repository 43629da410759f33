//! What is measured, in which order.

use core::time::Duration;

use ringseal::Wire;
use ringseal_cli::failure::{self, Failure};
use ringseal_cli::interrupts::Interrupts;
use ringseal_cli::machine::Machine;
use ringseal_cli::stdio;
use rustix::process::{Resource, getrlimit};
use tokio::runtime::Builder;

use super::arguments::ScaleArgs;
use super::bare;
use super::report::Report;
use super::rig::Rig;
use super::row::{BareRow, Comparison, Idle, Measured, Row};
use super::server_process::ServerSettings;
use crate::median::Median;
use crate::settings::allow_descriptors;

/// Connections that send while others are idle, or while metrics are taken.
const BUSY: u32 = 4;
/// From so many connections on a run takes [`LONGER_WITH_MANY`] times as long: until each has had several
/// turns.
const MANY: u32 = 1_000;
const LONGER_WITH_MANY: u32 = 3;
/// Descriptors that are not for connections, rounded up a good deal.
const OTHERS: u32 = 256;

/// Measures as the command line says.
pub(crate) fn run(args: &ScaleArgs) -> Result<(), Failure> {
    let machine = Machine::here();
    let threads = thread_counts(args, &machine)?;
    if machine.cores.len() < 2 {
        failure::warn(
            "this process may use one core: what a second one brings is NOT MEASURED here",
        );
    }
    let mut interrupts = Interrupts::new()?;
    let executor = Builder::new_current_thread().enable_all().build()?;
    let mut measured = Measured::default();
    let cores: &[usize] = if args.no_pin { &[] } else { &machine.cores };
    let bench = Bench {
        args,
        cores,
        threads: &threads,
    };
    let done = executor.block_on(interrupts.unless(bench.measure(&mut measured)));
    done.ok_or_else(|| Failure::new("interrupted: no table and no chart is written"))??;
    let report = Report {
        args,
        machine: &machine,
        measured: &measured,
    };
    if let Some(path) = &args.chart {
        report.chart().write(path)?;
    }
    stdio::print(&if args.json {
        report.json().to_string()
    } else {
        report.text()
    })
}

/// How many threads are tried: those that were asked for, which have to have a core each.
fn thread_counts(args: &ScaleArgs, machine: &Machine) -> Result<Vec<usize>, Failure> {
    let cores = machine.cores.len();
    if args.threads.is_empty() {
        return Ok((1..=cores.clamp(1, 2)).collect());
    }
    let most = args.threads.iter().copied().max().unwrap_or(1);
    if most > cores && !args.no_pin {
        return Err(Failure::new(format!(
            "{most} threads want a core each, and this process may use {cores}; lower --threads, or \
             take --no-pin, which shows nothing of what a core brings"
        )));
    }
    Ok(args.threads.clone())
}

/// What to measure.
struct Bench<'a> {
    args: &'a ScaleArgs,
    cores: &'a [usize],
    threads: &'a [usize],
}

impl Bench<'_> {
    async fn measure(&self, measured: &mut Measured) -> Result<(), Failure> {
        self.bare(measured).await?;
        for wire in &self.args.wires {
            for &connections in &self.args.connections {
                match self.room_for(connections) {
                    Ok(()) => {
                        let rows = self.rows(*wire, connections, false).await?;
                        measured.rows.extend(rows);
                    }
                    Err(text) => measured.skip(text),
                }
            }
        }
        if self.args.handles {
            self.by_handles(measured).await?;
        }
        for wire in &self.args.wires {
            if self.args.idle > 0 {
                match self.room_for(self.args.idle + 2 * BUSY) {
                    Ok(()) => self.beside_idle(*wire, measured).await?,
                    Err(text) => measured.skip(text),
                }
            }
            if self.args.metrics {
                self.with_metrics(*wire, measured).await?;
            }
        }
        Ok(())
    }

    /// Sees that this process may have so many connections, or says why not.
    fn room_for(&self, connections: u32) -> Result<(), String> {
        let limit = || getrlimit(Resource::Nofile).maximum;
        allow_descriptors(connections.saturating_add(OTHERS)).map_err(|_| {
            format!(
                "{connections} connections take as many descriptors, and this process may have {}; \
                 raise the limit (ulimit -Hn)",
                limit().map_or_else(|| "enough".to_owned(), |limit| limit.to_string())
            )
        })
    }

    fn settings(&self, wire: Wire, threads: usize, connections: u32) -> ServerSettings<'_> {
        ServerSettings {
            wire,
            threads,
            cores: &self.cores[..threads.min(self.cores.len())],
            connections: connections + OTHERS,
            size: self.args.size,
            metrics: false,
            handles: false,
            ring: self.args.ring,
        }
    }

    /// The bare pipeline; its numbers of threads take turns.
    async fn bare(&self, measured: &mut Measured) -> Result<(), Failure> {
        measured.bare = (self.threads.iter())
            .map(|&threads| BareRow {
                threads,
                runs: Vec::new(),
            })
            .collect();
        for _ in 0..self.args.rounds {
            for row in &mut measured.bare {
                row.runs
                    .push(bare::run(row.threads, self.cores, self.args.seconds).await?);
            }
        }
        Ok(())
    }

    /// The same rows from a program of tokio's.
    async fn by_handles(&self, measured: &mut Measured) -> Result<(), Failure> {
        for wire in &self.args.wires {
            for &connections in &self.args.connections {
                // Who is not there was told of before.
                if self.room_for(connections).is_ok() {
                    let rows = self.rows(*wire, connections, true).await?;
                    measured.handles.extend(rows);
                }
            }
        }
        Ok(())
    }

    /// One number of connections on each number of threads. They take turns, where there are
    /// descriptors for all of them at once.
    async fn rows(&self, wire: Wire, connections: u32, handles: bool) -> Result<Vec<Row>, Failure> {
        let count = u32::try_from(self.threads.len()).unwrap_or(u32::MAX);
        if self.room_for(connections.saturating_mul(count)).is_ok() {
            return self.turns(wire, connections, self.threads, handles).await;
        }
        failure::warn(&format!(
            "{connections} connections for each of {count} servers do not fit: they run one after \
             the other, and so are compared less well"
        ));
        let mut rows = Vec::new();
        for threads in self.threads {
            rows.extend(self.turns(wire, connections, &[*threads], handles).await?);
        }
        Ok(rows)
    }

    async fn turns(
        &self,
        wire: Wire,
        connections: u32,
        threads: &[usize],
        handles: bool,
    ) -> Result<Vec<Row>, Failure> {
        let mut rigs = Vec::new();
        for &threads in threads {
            let settings = ServerSettings {
                handles,
                ..self.settings(wire, threads, connections)
            };
            let mut rig = Rig::start(&settings).await?;
            let idle: Idle = rig.connect(connections, true).await?;
            let row = Row {
                wire,
                connections,
                threads,
                idle,
                runs: Vec::new(),
            };
            rigs.push((rig, row));
        }
        let seconds = match connections {
            MANY.. => self.args.seconds * LONGER_WITH_MANY,
            _ => self.args.seconds,
        };
        for _ in 0..self.args.rounds {
            for (rig, row) in &mut rigs {
                row.runs.push(rig.run(seconds).await?);
            }
        }
        let mut rows = Vec::new();
        for (rig, row) in rigs {
            rig.end().await?;
            rows.push(row);
        }
        Ok(rows)
    }

    /// A few busy connections, with and without many idle ones.
    async fn beside_idle(&self, wire: Wire, measured: &mut Measured) -> Result<(), Failure> {
        let (idle, threads) = (self.args.idle, self.most_threads());
        let mut with = Rig::start(&self.settings(wire, threads, idle + BUSY)).await?;
        let mut without = Rig::start(&self.settings(wire, threads, BUSY)).await?;
        drop(with.connect(idle, false).await?);
        for rig in [&mut with, &mut without] {
            drop(rig.connect(BUSY, true).await?);
        }
        let what = format!("{BUSY} busy connections beside {idle} idle ones, over without them");
        self.compare(what, wire, with, without, measured).await
    }

    /// A few busy connections, with and without somebody who takes metrics.
    async fn with_metrics(&self, wire: Wire, measured: &mut Measured) -> Result<(), Failure> {
        let settings = self.settings(wire, self.most_threads(), BUSY);
        let watched = ServerSettings {
            metrics: true,
            ..settings.clone()
        };
        let (mut with, mut without) = (Rig::start(&watched).await?, Rig::start(&settings).await?);
        for rig in [&mut with, &mut without] {
            drop(rig.connect(BUSY, true).await?);
        }
        let what = format!(
            "{BUSY} busy connections with metrics taken ten times a second, over without (what \
             counts them is always there)"
        );
        self.compare(what, wire, with, without, measured).await
    }

    fn most_threads(&self) -> usize {
        self.threads.iter().copied().max().unwrap_or(1)
    }

    async fn compare(
        &self,
        what: String,
        wire: Wire,
        mut with: Rig,
        mut without: Rig,
        measured: &mut Measured,
    ) -> Result<(), Failure> {
        let mut ratios = Vec::new();
        let length: Duration = self.args.seconds;
        for _ in 0..self.args.rounds {
            let rate = with.run(length).await?.messages_per_second;
            ratios.push(rate / without.run(length).await?.messages_per_second);
        }
        with.end().await?;
        without.end().await?;
        measured
            .comparisons
            .extend(Median::of(ratios).map(|ratio| Comparison { what, wire, ratio }));
        Ok(())
    }
}
