//! What the command line says of a listener.

use core::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use ringseal::{Address, BindOptions};
use ringseal_cli::args::{address, seconds_or_none};

use super::EndArgs;
use crate::public_key_argument::PublicKeyArgument;

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("admission").required(true)))]
pub(crate) struct ListenArgs {
    /// Where to listen, as HOST:PORT, unix:/PATH or unix:@ABSTRACT.
    #[arg(value_name = "ADDR", value_parser = address)]
    pub(crate) address: Address,
    #[command(flatten)]
    pub(crate) end: EndArgs,
    /// Public keys that may connect.
    #[arg(long, value_name = "KEY", num_args = 1.., group = "admission")]
    pub(crate) allow: Vec<PublicKeyArgument>,
    /// Let anybody connect who can prove some key.
    #[arg(long, group = "admission", conflicts_with = "allow")]
    pub(crate) allow_any: bool,
    /// What to do with messages.
    #[arg(long, value_enum, default_value_t = Mode::Print)]
    pub(crate) mode: Mode,
    /// Permission bits of the file of a Unix-domain socket, in octal; else the umask decides.
    #[arg(long, value_name = "OCTAL", value_parser = mode)]
    pub(crate) socket_mode: Option<u32>,
    /// Remove a Unix-domain socket at the path that nobody listens on.
    #[arg(long)]
    pub(crate) replace_dead_socket: bool,
    /// How long a peer that has ended is kept for an answer that is typed, since it ended or since
    /// the last such line; --mode print only, and only while standard input is open.
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds_or_none)]
    pub(crate) answer_timeout: Duration,
    /// How long peers have to end after SIGTERM or SIGINT, before they are cut off: in all, however
    /// much still comes meanwhile.
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds_or_none)]
    pub(crate) drain_timeout: Duration,
    /// Print the address as JSON; figures are JSON in any case.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ListenArgs {
    /// Returns what the address is bound with.
    pub(crate) fn bind_options(&self) -> BindOptions {
        let options = BindOptions::new().replace_dead(self.replace_dead_socket);
        match self.socket_mode {
            Some(mode) => options.mode(mode),
            None => options,
        }
    }
}

fn mode(text: &str) -> Result<u32, &'static str> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or("write permission bits in octal, as in 660")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Print each as a line; lines of standard input go to every connected peer.
    Print,
    /// Send each back.
    Echo,
    /// Count them and print one line of JSON when a connection ends.
    Sink,
}
