//! The command line.

/// What is done instead of a comparison.
pub(crate) const COMMANDS: [&str; 5] = ["built-from", "dial", "listen", "record", "tables"];

/// What to type.
pub(crate) const USAGE: &str = "\
usage: ringseal-peers [--seconds S] [--rounds N] [--only TEXT] [--peers TEXT,...]
                      [--handshakes] [--json FILE] [--chart FILE.svg]
       ringseal-peers listen ADDRESS NAME
       ringseal-peers dial ADDRESS NAME SIZE SECONDS
       ringseal-peers record FILE -- PROGRAM [ARGUMENT...]
       ringseal-peers tables [--take DIRECTORY | --check] [--root DIRECTORY]
       ringseal-peers built-from

Streams messages between two threads, on core 0 and core 1, each contender one at a time and with
its own way to batch; prints the table when all is measured, and nothing when it is interrupted.

  --seconds S       how long each stream, or each run of handshakes, takes (1)
  --rounds N        how often each is measured, everybody in turn (5)
  --only TEXT       only the work with TEXT in its title
  --peers TEXT,...  only contenders with one of the texts in their name
  --handshakes      handshakes a second, both ends on core 0, instead of streams and pings
  --json FILE       write the figures as JSON too, with what they were measured on
  --chart FILE.svg  measure more message sizes, and draw throughput by message size

Cargo features of this package add contenders: compio, quinn, tonic.

`listen` and `dial` are one end each of a stream of the contender with this NAME, and print what
they saw and took as a line of JSON each.

`record` runs a program that prints figures, as a JSON object, as a Markdown table or as the lines of
a soak, and writes them to FILE with what they were measured on: as they say themselves, as a soak has
to, or else what this program knows of its own build and machine.

`tables` writes the tables and charts of README.md and benches/README.md from the figures in
benches/results, and of a soak from benches/results/soak.json. It refuses figures of another commit,
of changed sources, or of another processor beside each other.

  --take DIRECTORY  first keep the figures in DIRECTORY/*.json as those of this processor
  --check           write nothing, and fail if a table says something else than the figures
  --root DIRECTORY  the repository (the one that this program was built from)

`built-from` prints the commit that this program was built from. It fails where that is not known,
where it was built from what no commit has, and where something else is checked out by now: figures
of it would be of nothing that anybody can build.";

/// What was asked for.
pub(crate) struct Options {
    pub(crate) seconds: f64,
    pub(crate) rounds: usize,
    pub(crate) only: String,
    /// In lower case.
    pub(crate) peers: Vec<String>,
    pub(crate) handshakes: bool,
    pub(crate) json: Option<String>,
    pub(crate) chart: Option<String>,
}

impl Options {
    /// Reads the program's arguments. The error is for the user to read.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            seconds: 1.0,
            rounds: 5,
            only: String::new(),
            peers: Vec::new(),
            handshakes: false,
            json: None,
            chart: None,
        };
        while let Some(name) = arguments.next() {
            if name == "--handshakes" {
                options.handshakes = true;
                continue;
            }
            let mut value = || {
                let value = arguments.next();
                value.ok_or_else(|| format!("{name} needs a value\n{USAGE}"))
            };
            match name.as_str() {
                "--seconds" => {
                    let text = value()?;
                    let seconds = text.parse().ok();
                    options.seconds = seconds
                        .filter(|&seconds| 0.0 < seconds && seconds <= 3600.0)
                        .ok_or_else(|| format!("--seconds is up to 3600, not {text}"))?;
                }
                "--rounds" => {
                    let text = value()?;
                    let rounds = text.parse().ok();
                    options.rounds = rounds
                        .filter(|&rounds| 0 < rounds)
                        .ok_or_else(|| format!("--rounds is 1 or more, not {text}"))?;
                }
                "--only" => options.only = value()?,
                "--peers" => options.peers = value()?.split(',').map(str::to_lowercase).collect(),
                "--json" => options.json = Some(value()?),
                "--chart" => options.chart = Some(value()?),
                _ => return Err(format!("there is no {name}\n{USAGE}")),
            }
        }
        if options.handshakes && options.chart.is_some() {
            return Err("the chart is of streams: leave out --handshakes or --chart".to_owned());
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_option_is_read() {
        let line = "--seconds 0.5 --rounds 3 --only 64 --peers TLS,plain --json a --chart b";
        let options = parse(line).expect("it is right");
        assert!((options.seconds - 0.5).abs() < f64::EPSILON);
        assert_eq!(options.rounds, 3);
        assert_eq!(options.only, "64");
        assert_eq!(options.peers, ["tls", "plain"]);
        assert_eq!(options.json.as_deref(), Some("a"));
        assert_eq!(options.chart.as_deref(), Some("b"));
        assert!(!options.handshakes);
        assert!(parse("--handshakes").expect("it is right").handshakes);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for line in [
            "--rounds 0",
            "--rounds",
            "--seconds -1",
            "--seconds NaN",
            "--fast",
            "--handshakes --chart a",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
