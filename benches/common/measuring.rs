//! For how long a bench measures, and how often, by its command line.

use std::error::Error;
use std::time::Duration;

/// For how long to measure, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measuring {
    pub(crate) duration: Duration,
    pub(crate) rounds: usize,
    /// Whether it is only to be seen that the bench runs.
    #[allow(dead_code, reason = "not each bench asks")]
    pub(crate) is_test: bool,
}

impl Measuring {
    /// Reads `--seconds`, which is `seconds` by default, and `--rounds`. To see that the bench runs,
    /// `test_seconds` are enough.
    #[allow(dead_code, reason = "a bench with more options reads them first")]
    pub(crate) fn from_arguments(seconds: f64, test_seconds: f64) -> Result<Self, Box<dyn Error>> {
        Self::from(std::env::args().skip(1), seconds, test_seconds)
    }

    /// Reads the same from `arguments`.
    pub(crate) fn from(
        arguments: impl IntoIterator<Item = String>,
        seconds: f64,
        test_seconds: f64,
    ) -> Result<Self, Box<dyn Error>> {
        let (mut seconds, mut rounds) = (seconds, 5);
        // Code that is not optimized says nothing.
        let mut is_test = cfg!(debug_assertions);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let missing = || format!("{argument} takes a value");
                arguments.next().ok_or_else(missing)
            };
            match argument.as_str() {
                // Cargo says this to all benches.
                "--bench" => {}
                "--test" => is_test = true,
                "--seconds" => seconds = value()?.parse()?,
                "--rounds" => rounds = value()?.parse()?,
                _ => {
                    let known = "there are --seconds, --rounds and --test";
                    return Err(format!("{argument}: {known}").into());
                }
            }
        }
        if is_test {
            (seconds, rounds) = (test_seconds, 1);
        }
        if rounds == 0 {
            return Err("--rounds is 1 or more".into());
        }
        Ok(Self {
            duration: Duration::try_from_secs_f64(seconds)?,
            rounds,
            is_test,
        })
    }
}
