//! The parts of a command line that both programs have.

use core::fmt;
use core::time::Duration;
use std::io::{self, Write};
use std::process;

use clap::{Args, Parser, ValueEnum};
use ringseal::{Address, Backend, Runtime, RuntimeBuilder};

use crate::failure::Failure;
use crate::log;

/// Reads the command line as [`Parser::parse`] does, but that help which can't be printed is a failure.
pub fn parse<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| {
        let printed = error.print().and_then(|()| io::stdout().flush());
        if let Err(cause) = printed
            && !error.use_stderr()
            && let Failure::Failed(text) = Failure::of_output(&cause)
        {
            log::error(&text);
            process::exit(1);
        }
        process::exit(error.exit_code())
    })
}

/// How a thread's ring is driven.
#[derive(Clone, Copy, Debug, Args)]
pub struct RingArgs {
    /// The driver.
    #[arg(long, value_enum, default_value_t = BackendName::Auto)]
    pub backend: BackendName,
    /// For how many microseconds a thread looks for work before each sleep; with 0, for 20 while that
    /// finds any.
    #[arg(long, value_name = "US", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub busy_poll: u32,
}

impl RingArgs {
    /// Starts the settings of a runtime.
    pub fn builder(&self) -> RuntimeBuilder {
        let backend = match self.backend {
            BackendName::Auto => Backend::Auto,
            BackendName::Uring => Backend::Uring,
            BackendName::TokioUring => Backend::TokioUring,
            BackendName::Epoll => Backend::Epoll,
        };
        Runtime::builder()
            .backend(backend)
            .busy_poll(Duration::from_micros(self.busy_poll.into()))
    }
}

/// A [`Backend`], by the name that it has on a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    /// io_uring by ringseal's own loop, or epoll where that can't be had.
    Auto,
    /// ringseal's own loop on the io-uring crate.
    Uring,
    /// tokio-uring.
    TokioUring,
    /// No ring: tokio's epoll loop.
    Epoll,
}

impl BackendName {
    /// The name of what a runtime has taken.
    pub fn of(backend: Backend) -> Self {
        match backend {
            Backend::Uring => Self::Uring,
            Backend::TokioUring => Self::TokioUring,
            Backend::Epoll => Self::Epoll,
            _ => Self::Auto,
        }
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Epoll => "epoll",
            Self::TokioUring => "tokio-uring",
        })
    }
}

/// Longer runs would overflow clocks before anybody sees the end.
const MAX_SECONDS: f64 = 1e6;

/// Reads a time that is not zero.
pub fn seconds(text: &str) -> Result<Duration, String> {
    seconds_or_none(text)
        .ok()
        .filter(|seconds| !seconds.is_zero())
        .ok_or_else(|| format!("write a number of seconds above 0 and up to {MAX_SECONDS}"))
}

/// Reads a time, which may be zero.
pub fn seconds_or_none(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("write a number of seconds from 0 to {MAX_SECONDS}"))
}

/// Reads an address, which names a port if it is not a Unix-domain socket.
pub fn address(text: &str) -> Result<Address, &'static str> {
    let address = Address::from(text);
    let names_port = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    match address {
        Address::Name(_) if !names_port => {
            Err("write host and port, as in 127.0.0.1:9000 or [::1]:9000, or unix:/path")
        }
        _ => Ok(address),
    }
}
