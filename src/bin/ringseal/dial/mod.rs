//! `dial`: lines to a listener and back, or a measurement.

mod advice;
mod flood;
mod patience;
mod ping;
mod talk;

use core::time::Duration;
use std::io::{self, IsTerminal};

use clap::CommandFactory;
use clap::error::ErrorKind;
use ringseal::protocol::native::{self, record::RefuseReason};
use ringseal::{AttemptError, Connection, DialError, HandshakeError, PublicKey, Wire};

use crate::args::{Cli, DialArgs};
use crate::failure::Failure;
use crate::halves;
use crate::interrupts;
use crate::log;
use crate::output::{Lines, Output};
use crate::peer_fields::PeerFields;
use crate::start::start;

pub(crate) fn run(args: &DialArgs) -> Result<(), Failure> {
    let limit = args.end.max_message_size;
    if args.flood && args.size > limit {
        let text = format!(
            "--size {} is above --max-message-size {limit}; raise it on both ends",
            args.size
        );
        Cli::command()
            .error(ErrorKind::ValueValidation, text)
            .exit();
    }
    interrupts::end_first_process()?;
    let peer = args.peer.key()?;
    let config = args.end.dialing()?;
    let runtime = start(args.end.ring.builder())?;
    let output = Output::start()?;
    let lines = output.lines();
    let result = runtime.block_on(async {
        let connection = ringseal::dial(args.address.clone(), peer, &config)
            .await
            .map_err(|error| explain(error, args.end.wire()))?;
        announce(args, &connection);
        work(args, peer, connection, lines).await
    });
    drop(runtime);
    output.finish(result, Duration::MAX)
}

fn announce(args: &DialArgs, connection: &Connection) {
    let is_typed = !args.flood && !args.ping && io::stdin().is_terminal();
    let hint = if is_typed {
        "; each line is a message, Ctrl-D ends"
    } else {
        ""
    };
    let (peer, address) = (connection.peer(), connection.peer_address());
    let text = format!("connected to {peer} at {address}{hint}");
    let fields = PeerFields {
        peer: Some(peer),
        address: address.clone(),
    };
    log::connected(&text, Some(&fields));
}

async fn work(
    args: &DialArgs,
    peer: PublicKey,
    connection: Connection,
    lines: Lines,
) -> Result<(), Failure> {
    let (sender, receiver) = halves::split(connection);
    let line = if args.flood {
        let figures = flood::flood(args, sender, receiver).await?;
        if args.json {
            figures.json_with_peer(peer).to_string()
        } else {
            format!("sent {figures}")
        }
    } else if args.ping {
        let times = ping::ping(args, sender, receiver).await?;
        if args.json {
            let mut value = times.json();
            value["peer"] = peer.to_string().into();
            value.to_string()
        } else {
            times.to_string()
        }
    } else {
        return talk::talk(args, sender, receiver, lines).await;
    };
    lines.print(lines.line(line.as_bytes())).await
}

fn explain(error: DialError, wire: Wire) -> Failure {
    let advice = match &error {
        // There is no version to compare, and no clock.
        DialError::Attempt(AttemptError::UnexpectedEnd) if wire.is_native() => {
            return Failure::new(format!(
                "the listener closed the connection during the handshake, and tells only its own \
                 side why; compare --peer, --namespace and --wire with the listener's: here it is \
                 --wire {wire}, and a listener that names suites takes no other"
            ));
        }
        DialError::Connect { .. } => "is `ringseal listen` running there?",
        DialError::Resolve { .. } => "compare the name with what the listener's host is called",
        DialError::Attempt(AttemptError::Refused {
            reason: RefuseReason::NOT_ADMITTED,
        }) => "start the listener with --allow and what `ringseal pubkey` prints of --identity",
        DialError::Attempt(AttemptError::UnexpectedEnd) => {
            "or --peer is another one's key, or --wire is none of the listener's, or it is no \
             `ringseal listen`; a listener says which"
        }
        DialError::Attempt(AttemptError::Handshake(
            HandshakeError::BadVarint
            | HandshakeError::Decode
            | HandshakeError::FrameTooLarge { .. },
        )) => "something else than `ringseal listen` answers there; compare address and port",
        DialError::Attempt(
            AttemptError::Handshake(HandshakeError::SameIdentity)
            | AttemptError::NativeHandshake(native::handshake::HandshakeError::SameIdentity),
        ) => "--peer is the public half of --identity",
        DialError::Attempt(
            AttemptError::Handshake(HandshakeError::BadSignature)
            | AttemptError::NativeHandshake(native::handshake::HandshakeError::Failed),
        ) => "compare --peer, --namespace and --wire with the listener's",
        _ => return error.into(),
    };
    Failure::with_advice(&error, advice)
}
