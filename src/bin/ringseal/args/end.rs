//! What both ends of a connection need.

use core::str::FromStr;
use core::time::Duration;
use std::path::PathBuf;

use clap::Args;
use ringseal::protocol::WireError;
use ringseal::protocol::native::{Suite, Suites};
use ringseal::protocol::record::MAX_MESSAGE_SIZE;
use ringseal::{Config, Wire};
use ringseal_cli::args::{RingArgs, seconds, seconds_or_none};

use crate::failure::Failure;
use crate::key_file;

/// The name of the native wire, with any suite.
const NATIVE: &str = "native";

/// A wire, and whether its suite was named: whoever names none listens for all.
#[derive(Clone, Copy, Debug)]
struct WireName {
    wire: Wire,
    suite: Option<Suite>,
}

impl FromStr for WireName {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        let wire = text.parse()?;
        let suite = match wire {
            Wire::Native { suite } if text != NATIVE => Some(suite),
            _ => None,
        };
        Ok(Self { wire, suite })
    }
}

/// What both ends of a connection need.
#[derive(Debug, Args)]
pub(crate) struct EndArgs {
    /// The private key of this end (PKCS#8 PEM, or OpenSSH's form); `ringseal keygen` makes one.
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The application; both ends must name the same.
    #[arg(long, value_name = "NS")]
    namespace: String,
    /// The wire: native[:SUITE], or commonware[:SAKE,CUPS] with the versions of its key exchange
    /// and its records. A dialer speaks one, which the listener must take: `native` is then the
    /// suite that this processor is fast at. A listener may be given the option several times: it
    /// takes both wires on one port, and of the native one every suite, or only those that are
    /// named.
    #[arg(long = "wire", value_name = "WIRE", default_value = NATIVE)]
    wires: Vec<WireName>,
    /// The longest message in bytes, sent or received.
    #[arg(long, value_name = "N", default_value_t = Config::DEFAULT_MAX_MESSAGE_SIZE,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_MESSAGE_SIZE)))]
    pub(crate) max_message_size: u32,
    /// How long the peer may send nothing at all; without it there is no limit.
    #[arg(long, value_name = "S", value_parser = seconds)]
    idle_timeout: Option<Duration>,
    /// How long half a message, or a peer that stops reading, may stand still; 0 for no limit.
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds_or_none)]
    progress_timeout: Duration,
    /// How long it may take from connecting to the end of the handshake.
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    handshake_timeout: Duration,
    #[command(flatten)]
    pub(crate) ring: RingArgs,
}

impl EndArgs {
    /// The configuration of a dialer.
    pub(crate) fn dialing(&self) -> Result<Config, Failure> {
        if self.wires.len() > 1 {
            let text = "a dialer speaks one wire; give --wire once";
            return Err(Failure::new(text));
        }
        self.config()
    }

    /// The wire of a dialer.
    pub(crate) fn wire(&self) -> Wire {
        self.wires
            .first()
            .map_or_else(Wire::default, |name| name.wire)
    }

    /// The wires that are named, of the native one no more than one.
    fn different_wires(&self) -> Result<Vec<Wire>, Failure> {
        let (mut natives, others): (Vec<_>, Vec<_>) = self
            .wires
            .iter()
            .map(|name| name.wire)
            .partition(Wire::is_native);
        if others.len() > 1 {
            let text = "--wire names two versions of commonware, which nothing tells apart; give \
                        one";
            return Err(Failure::new(text));
        }
        // A listener goes by its suites.
        natives.truncate(1);
        natives.extend(others);
        Ok(natives)
    }

    /// The suites that a listener takes: all, unless some are named.
    fn suites(&self) -> Suites {
        let mut suites = Suites::none();
        for name in self.wires.iter().filter(|name| name.wire.is_native()) {
            match name.suite {
                Some(suite) => suites = suites.and(suite),
                None => return Suites::all(),
            }
        }
        suites
    }

    /// Reads the identity and puts the settings together.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let wires = self.different_wires()?;
        let identity = key_file::read(&self.identity)?;
        Ok(Config::new(identity, &self.namespace)
            .wires(wires)
            .suites(self.suites())
            .max_message_size(self.max_message_size)
            .handshake_deadline(self.handshake_timeout)
            .idle_timeout(self.idle_timeout)
            .progress_timeout(Some(self.progress_timeout).filter(|limit| !limit.is_zero())))
    }
}
