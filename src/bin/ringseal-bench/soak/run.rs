//! The run: starts everything, has it rest now and then, and compares what is left.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use ringseal_cli::envelope::Envelope;
use ringseal_cli::failure::Failure;
use ringseal_cli::interrupts::Interrupts;
use ringseal_cli::machine::Machine;
use ringseal_cli::pictures;
use ringseal_cli::stdio;
use serde_json::{Map, Value, json};
use tokio::runtime::Builder;
use tokio::time::sleep;

use super::arguments::SoakArgs;
use super::ledger::{Found, Ledger, Phase};
use super::plan::{DriverName, Kind, Side};
use super::relay::Relay;
use super::rig::{Held, Rig};
use super::state::State;
use crate::settings::allow_descriptors;

/// How long nothing may change while connections end before a rest.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked at whether they have.
const LOOK: Duration = Duration::from_millis(50);
/// How long threads may keep memory that they use for long messages.
const SPARES_GONE: Duration = Duration::from_millis(2_500);
/// The first rest, which all later ones are compared with, comes after so much of the time, but not
/// later than `LATEST_WARM_UP`; and then one each such part of the time, or each `LONGEST_PART`.
const PARTS: u32 = 6;
const LATEST_WARM_UP: Duration = Duration::from_secs(60);
const LONGEST_PART: Duration = Duration::from_secs(600);

/// Runs it on the calling thread, which only looks.
pub(crate) fn run(args: &SoakArgs) -> Result<(), Failure> {
    let seed = match args.seed {
        Some(seed) => seed,
        None => fresh_seed()?,
    };
    let mut interrupts = Interrupts::new()?;
    let executor = Builder::new_current_thread().enable_all().build()?;
    let begin = Instant::now();
    let outcome = executor.block_on(interrupts.unless(soak(args, seed)));
    let Some(result) = outcome else {
        return Err(Failure::new(format!(
            "interrupted after {:.1} of {:.1} seconds: no mistake until then, but nothing is \
             known about leaks, and no chart is written (seed {seed})",
            begin.elapsed().as_secs_f64(),
            args.minutes.as_secs_f64(),
        )));
    };
    result.map_err(|failure| failure.and(&format!("to repeat it: {}", args.replay(seed))))
}

/// A seed that is new, and short enough to be typed.
fn fresh_seed() -> Result<u64, Failure> {
    let mut seed = [0; 4];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new(format!("the kernel has no randomness: {error}")))?;
    Ok(u32::from_le_bytes(seed).into())
}

async fn soak(args: &SoakArgs, seed: u64) -> Result<(), Failure> {
    let (drivers, lanes) = match args.only {
        Some(only) => (vec![only.driver], 1),
        None => (args.drivers.clone(), args.connections),
    };
    let machine = Machine::here();
    print_start(args, seed, &machine)?;
    // Two ends and a relay's two for each lane, and their successors while they end.
    let connections = u32::try_from(drivers.len()).unwrap_or(u32::MAX) * lanes;
    allow_descriptors(connections.saturating_mul(16).max(1024))?;
    let ledger = Ledger::new(seed, args.plant);
    let mut soak = Soak {
        args,
        rigs: Vec::new(),
        relay: Relay::start()?,
        ledger: Arc::clone(&ledger),
        begin: Instant::now(),
        states: Vec::new(),
    };
    for driver in drivers {
        let rig = Rig::start(driver, lanes, args.only, &soak.relay, &ledger).await;
        soak.rigs.push(rig.map_err(|failure| {
            failure.and(&format!(
                "the driver {driver} is needed; leave it out with --drivers where it cannot be had"
            ))
        })?);
    }
    tokio::select! {
        biased;
        found = ledger.mistake() => return Err(told(args, seed, &found)),
        result = soak.until_end() => result?,
    }
    soak.end(&machine).await
}

fn told(args: &SoakArgs, seed: u64, found: &Found) -> Failure {
    let Found {
        episode,
        side,
        mistake,
    } = found;
    Failure::new(format!(
        "connection {episode}, as the {} saw it: {mistake}; it alone: {}",
        match side {
            Side::Dialer => "dialer",
            Side::Listener => "listener",
        },
        args.replay_alone(seed, *episode),
    ))
}

fn print_start(args: &SoakArgs, seed: u64, machine: &Machine) -> Result<(), Failure> {
    let seconds = args.minutes.as_secs_f64();
    stdio::print(&if args.json {
        let mut start = Envelope::here().around(machine.json());
        start["kind"] = "start".into();
        start["seed"] = seed.into();
        start["planned_seconds"] = seconds.into();
        start.to_string()
    } else {
        format!("seed {seed}, {seconds} seconds, {}", machine.text())
    })
}

/// A run that goes on.
#[derive(Debug)]
struct Soak<'a> {
    args: &'a SoakArgs,
    rigs: Vec<Rig>,
    relay: Relay,
    ledger: Arc<Ledger>,
    begin: Instant,
    states: Vec<State>,
}

impl Soak<'_> {
    /// Tells of the state and rests, until the time is over; the last state is a rest.
    async fn until_end(&mut self) -> Result<(), Failure> {
        let part = self.args.minutes / PARTS;
        let mut end = self.begin + self.args.minutes;
        let mut has_rested = false;
        let mut next_rest = self.begin + part.min(LATEST_WARM_UP);
        let mut next_state = self.begin + self.args.interval;
        loop {
            let until = next_rest.min(next_state).min(end);
            sleep(until.saturating_duration_since(Instant::now())).await;
            if until == end {
                return self.rest(Phase::End).await;
            }
            if until == next_rest {
                self.rest(Phase::Run).await?;
                next_rest = Instant::now() + part.min(LONGEST_PART);
                if !has_rested {
                    // What is compared with the first rest, and mistakes made on purpose, need time
                    // behind it, even where it has taken all there was.
                    end = end.max(next_rest);
                    has_rested = true;
                }
            } else {
                self.look(false).await?;
            }
            // A rest takes a while, and tells of the state as well.
            next_state = Instant::now() + self.args.interval;
        }
    }

    /// Waits until all connections have ended and compares what is left. `then`: what follows.
    async fn rest(&mut self, then: Phase) -> Result<(), Failure> {
        let is_last = then == Phase::End;
        self.ledger
            .set_phase(if is_last { Phase::End } else { Phase::Rest });
        let (mut latest, mut since) = (None, Instant::now());
        loop {
            let held = self.held().await?;
            let (playing, carried) = (self.ledger.playing(), self.relay.carried());
            if held.is_nothing() && playing == 0 && carried == 0 {
                break;
            }
            let seen = Some((held, playing, carried, self.ledger.amount()));
            if latest != seen {
                (latest, since) = (seen, Instant::now());
            } else if since.elapsed() > PATIENCE {
                return Err(Failure::new(format!(
                    "all connections are to end, nothing has changed for {} seconds, and there \
                     still are: {playing} tasks, {carried} relayed connections, {held:?}",
                    PATIENCE.as_secs()
                )));
            }
            sleep(LOOK).await;
        }
        // By then threads have let go of what they keep for the next long message.
        sleep(SPARES_GONE).await;
        let now = self.look(true).await?;
        let first = self.states.iter().find(|state| state.is_rest);
        if let Some(grown) = first.and_then(|first| now.growth_since(first)) {
            return Err(Failure::new(format!(
                "with all connections ended there are {grown} at the first rest"
            )));
        }
        let settled = self.settled_rest();
        if let Some(grown) = settled.and_then(|settled| now.growth_since_settled(settled)) {
            return Err(Failure::new(format!(
                "with all connections ended there are {grown} after a third of the time"
            )));
        }
        if now.held.handler_panics > 0 {
            return Err(Failure::new("a handler has panicked"));
        }
        self.ledger.set_phase(then);
        Ok(())
    }

    /// The first rest after a third of the time, when what only grows in the beginning has grown.
    fn settled_rest(&self) -> Option<&State> {
        let third = self.args.minutes.as_secs_f64() / 3.0;
        let mut rests = self.states.iter().filter(|state| state.is_rest);
        rests.find(|state| state.seconds >= third)
    }

    async fn held(&self) -> Result<Held, Failure> {
        let mut held = Held::default();
        for rig in &self.rigs {
            held = held.plus(rig.held().await?);
        }
        Ok(held)
    }

    /// Prints the state and keeps it for the chart.
    async fn look(&mut self, is_rest: bool) -> Result<State, Failure> {
        let state = State {
            seconds: self.begin.elapsed().as_secs_f64(),
            is_rest,
            resident: 0,
            heap: None,
            descriptors: 0,
            tasks: self.ledger.playing(),
            held: self.held().await?,
            amount: self.ledger.amount(),
            episodes: self.ledger.episodes(),
        };
        let state = state.of_process()?;
        stdio::print(&if self.args.json {
            state.json().to_string()
        } else {
            state.text()
        })?;
        self.states.push(state);
        Ok(state)
    }

    /// Ends everything in order, draws, and tells the result.
    async fn end(mut self, machine: &Machine) -> Result<(), Failure> {
        for rig in self.rigs.drain(..) {
            let driver = rig.driver;
            let cut = rig.end().await?;
            if cut > 0 {
                return Err(Failure::new(format!(
                    "{cut} connections of {driver} were cut by a drain when none was left"
                )));
            }
        }
        if let Some(found) = self.ledger.found() {
            return Err(told(self.args, self.ledger.seed, &found));
        }
        let title = format!(
            "Soak of {:.1} minutes, seed {}",
            self.begin.elapsed().as_secs_f64() / 60.0,
            self.ledger.seed
        );
        if let Some(path) = &self.args.chart {
            let states: Vec<Value> = self.states.iter().map(State::json).collect();
            pictures::soak(&states, title, machine.text()).write(path)?;
        }
        self.print_result()
    }

    fn print_result(&self) -> Result<(), Failure> {
        let rests: Vec<&State> = self.states.iter().filter(|state| state.is_rest).collect();
        let (Some(first), Some(last)) = (rests.first(), rests.last()) else {
            return Err(Failure::new("the run was too short for a rest"));
        };
        let kinds = Kind::ALL.map(|kind| (kind.name(), self.ledger.count_of(kind)));
        if self.args.json {
            let mut result = json!({
                "kind": "result",
                "passed": true,
                "seed": self.ledger.seed,
                "seconds": last.seconds,
                "drivers": self.args.drivers.iter().map(DriverName::to_string).collect::<Vec<_>>(),
                "messages": last.amount.messages,
                "bytes": last.amount.bytes,
                "connections": last.episodes,
                "key_updates": last.held.key_updates,
                "rests": rests.len(),
            });
            let kinds = kinds.map(|(name, count)| (name.to_owned(), Value::from(count)));
            result["by_kind"] = Value::Object(Map::from_iter(kinds));
            result["allowed_growth"] = State::allowed_growth(first);
            result["first_rest"] = first.json();
            let settled = self
                .settled_rest()
                .filter(|rest| rest.seconds < last.seconds);
            result["settled_rest"] = settled.map_or(Value::Null, State::json);
            result["last_rest"] = last.json();
            return stdio::print(&result.to_string());
        }
        let not_tried: Vec<&str> = (kinds.iter().filter(|(_, count)| *count == 0))
            .map(|(name, _)| *name)
            .collect();
        let not_tried = if not_tried.is_empty() {
            String::new()
        } else {
            format!("; not tried: {}", not_tried.join(", "))
        };
        let kinds = kinds.map(|(name, count)| format!("{count} {name}"));
        stdio::print(&format!(
            "passed: {} connections ({}), {} messages, {} bytes, {} key updates; every message was \
             the one that was due, and nothing has grown over {} rests by more than is allowed \
             ({}){not_tried}",
            last.episodes,
            kinds.join(", "),
            last.amount.messages,
            last.amount.bytes,
            last.held.key_updates,
            rests.len(),
            State::ALLOWED,
        ))
    }
}
