//! Many seeds on many threads, and one that is looked at.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::simulation::{Report, run};

/// How much processor time all threads together may have for each, while one run goes on, before that
/// is taken for endless. Not the machine's clock: a busy machine has a thread wait for long.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a run may take on the machine's clock before it is taken for one that waits for ever.
const STANDSTILL: Duration = Duration::from_secs(600);

/// Which seeds are run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The first one.
    pub first: u64,
    /// How many, one after the other.
    pub count: u64,
    /// On how many threads.
    pub threads: usize,
    /// How much processor time they may take for each thread.
    pub within: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            first: 0,
            count: 1000,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            within: None,
        }
    }
}

/// What all runs together have shown.
#[derive(Debug, Default)]
pub struct Summary {
    /// Runs that were as they have to be.
    pub passed: u64,
    /// Virtual milliseconds of them.
    pub took: u64,
    /// How many runs were about what.
    pub kinds: BTreeMap<String, u64>,
    /// How often something was seen.
    pub seen: BTreeMap<&'static str, u64>,
    /// The seed that failed, and why.
    pub failure: Option<(u64, String)>,
}

impl Summary {
    fn add(&mut self, report: Report) {
        self.passed += 1;
        self.took += report.took;
        *self.kinds.entry(report.kind).or_default() += 1;
        for (what, count) in report.seen {
            *self.seen.entry(what).or_default() += count;
        }
    }
}

/// A run that is not done.
#[derive(Clone, Copy, Debug)]
struct Running {
    seed: u64,
    since: Instant,
    /// The processor time of this process then.
    processor_since: Duration,
}

/// Seeds that threads take one by one.
struct Seeds {
    settings: Settings,
    taken: AtomicU64,
    is_over: AtomicBool,
    summary: Mutex<Summary>,
}

impl Seeds {
    fn next(&self) -> Option<u64> {
        if self.is_over.load(Ordering::Relaxed) {
            return None;
        }
        let index = self.taken.fetch_add(1, Ordering::Relaxed);
        (index < self.settings.count).then(|| self.settings.first + index)
    }

    fn work(&self, current: &Mutex<Option<Running>>) {
        while let Some(seed) = self.next() {
            *lock(current) = Some(Running {
                seed,
                since: Instant::now(),
                processor_since: processor_time(),
            });
            let result = run(seed, false);
            *lock(current) = None;
            let mut summary = lock(&self.summary);
            match result {
                Ok(report) => summary.add(report),
                Err(reason) => {
                    self.is_over.store(true, Ordering::Relaxed);
                    summary.failure.get_or_insert((seed, reason));
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs seeds until all are run or one fails. One that does not end ends the process.
#[must_use]
pub fn run_seeds(settings: Settings) -> Summary {
    let seeds = Seeds {
        settings,
        taken: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        summary: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..settings.threads {
            let current = Arc::new(Mutex::new(None));
            watch(&current, settings.threads);
            let seeds = &seeds;
            scope.spawn(move || seeds.work(&current));
        }
    });
    seeds
        .summary
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process if a run does not end, for as long as its thread goes on, which is one of `threads`.
fn watch(current: &Arc<Mutex<Option<Running>>>, threads: usize) {
    let current = Arc::downgrade(current);
    let patience = PATIENCE * u32::try_from(threads).unwrap_or(u32::MAX);
    std::thread::spawn(move || {
        while let Some(current) = current.upgrade() {
            let running = *lock(&current);
            drop(current);
            if let Some(running) = running {
                let used = processor_time().saturating_sub(running.processor_since);
                if used > patience {
                    give_up(
                        running.seed,
                        "it goes round in circles without time passing",
                    );
                } else if running.since.elapsed() > STANDSTILL {
                    give_up(running.seed, "it waits for ever without time passing");
                }
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    });
}

fn give_up(seed: u64, reason: &str) -> ! {
    tell(seed, reason);
    std::process::exit(1);
}

fn tell(seed: u64, reason: &str) {
    println!("seed {seed} fails: {reason}");
    println!("replay: cargo run -q -p ringseal-simulation -- --seed {seed}");
}

/// Returns the processor time that this process has had.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a time since the start")
}

/// Runs seeds and tells what came of it.
#[must_use]
pub fn run_all(settings: Settings) -> ExitCode {
    let (start, processor_start) = (Instant::now(), processor_time());
    println!(
        "{} seeds from {} on: ringseal-simulation --seeds {0} --first {1}",
        settings.count, settings.first
    );
    let summary = run_seeds(settings);
    if let Some((seed, reason)) = &summary.failure {
        tell(*seed, reason);
        return ExitCode::FAILURE;
    }
    for (kind, count) in &summary.kinds {
        println!("{count:>10}  runs: {kind}");
    }
    for (what, count) in &summary.seen {
        println!("{count:>10}  {what}");
    }
    let processor_time = processor_time() - processor_start;
    let threads = u32::try_from(settings.threads).unwrap_or(u32::MAX);
    let each = processor_time / threads;
    println!(
        "{} seeds from {} on passed: {} s of virtual time in {:.1} s, {:.1} s of processor time for each \
         of {threads} threads",
        summary.passed,
        settings.first,
        summary.took / 1000,
        start.elapsed().as_secs_f64(),
        each.as_secs_f64(),
    );
    match settings.within {
        Some(limit) if each > limit => {
            println!("that is more than the {} s allowed", limit.as_secs());
            ExitCode::FAILURE
        }
        Some(limit) => {
            println!("at most {} s were allowed", limit.as_secs());
            ExitCode::SUCCESS
        }
        None => ExitCode::SUCCESS,
    }
}

/// Runs one seed and prints all that happens.
#[must_use]
pub fn replay(seed: u64) -> ExitCode {
    match run(seed, true) {
        Ok(report) => {
            println!(
                "seed {seed} passes; the hash of its trace is {:016x}",
                report.hash
            );
            ExitCode::SUCCESS
        }
        Err(reason) => {
            tell(seed, &reason);
            ExitCode::FAILURE
        }
    }
}
