//! The command line of `soak`.

use core::time::Duration;

use clap::Args;
use ringseal_cli::args::seconds;

use super::ledger::Plant;
use super::plan::{DriverName, Episode};

/// Keeps connections of all kinds busy for as long as it is told, and checks all that they bring and
/// all that they leave.
///
/// Connections that come and go, steady streams, readers that stop, sockets that are shut or reset in
/// the middle, ends that give up, key updates, messages of several mebibytes: on both wires, over TCP
/// and Unix-domain sockets, on every driver. Each message follows from the seed, so that whoever
/// receives it knows every byte. Now and then all connections end, and what is left then must not
/// grow.
#[derive(Clone, Debug, Args)]
pub(crate) struct SoakArgs {
    /// How long it takes, in minutes; a fraction allowed.
    #[arg(long, value_name = "N", default_value = "1", value_parser = minutes)]
    pub(crate) minutes: Duration,
    /// What all connections follow from; without it a new one, which is printed.
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// The drivers, all at once.
    #[arg(long, value_name = "DRIVER", value_delimiter = ',',
        default_values_t = DriverName::ALL)]
    pub(crate) drivers: Vec<DriverName>,
    /// Connections at a time on each driver.
    #[arg(long, value_name = "N", default_value_t = 12,
        value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) connections: u32,
    /// Make only this connection, again and again: what a mistake is printed with, as uring/3/17.
    #[arg(long, value_name = "CONNECTION", conflicts_with_all = ["drivers", "connections"])]
    pub(crate) only: Option<Episode>,
    /// Tell of the state each S seconds.
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub(crate) interval: Duration,
    /// Print lines of JSON instead of words.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw memory, throughput, slots and descriptors over time to this SVG file.
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<String>,
    /// Make a mistake on purpose, to see that it is noticed.
    #[arg(long, value_enum, hide = true)]
    pub(crate) plant: Option<Plant>,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "write a number of minutes".to_owned())?;
    // The least that leaves time for a few rests.
    seconds(&(number * 60.0).to_string())
        .ok()
        .filter(|time| *time >= Duration::from_secs(3))
        .ok_or_else(|| "write a number of minutes of at least 0.05".to_owned())
}

impl SoakArgs {
    /// The command line that does the same again.
    pub(crate) fn replay(&self, seed: u64) -> String {
        if let Some(only) = self.only {
            return self.replay_alone(seed, only);
        }
        let names: Vec<String> = self.drivers.iter().map(DriverName::to_string).collect();
        format!(
            "{} --drivers {} --connections {}",
            self.start(seed),
            names.join(","),
            self.connections
        )
    }

    /// The command line that makes this connection again and again.
    pub(crate) fn replay_alone(&self, seed: u64, episode: Episode) -> String {
        format!("{} --only {episode}", self.start(seed))
    }

    fn start(&self, seed: u64) -> String {
        // Without what dividing by 60 leaves behind.
        let minutes = (self.minutes.as_secs_f64() / 60.0 * 1e6).round() / 1e6;
        format!("ringseal-bench soak --minutes {minutes} --seed {seed}")
    }
}
