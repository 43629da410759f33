//! `listen`: many connections at once, until a signal.
//!
//! A signal does not end them at once: nobody new comes in, each peer is told that nothing more
//! will be sent, and what it has sent until it ends too is taken.

mod peers;
mod session;
mod stop;

use core::convert::Infallible;
use core::time::Duration;
use std::io;
use std::rc::Rc;

use ringseal::{
    AcceptError, Address, Admission, BindError, Connection, Listener, TaskGroup, spawn,
};
use serde_json::json;

use crate::args::{ListenArgs, Mode};
use crate::failure::{self, Failure};
use crate::interrupts::Interrupts;
use crate::output::{Lines, Output};
use crate::public_key_argument::PublicKeyArgument;
use crate::standstill::elapsed;
use crate::start::start;
use crate::stdio;
use peers::{Peers, distribute};
use session::{Common, Crowd, Session};
use stop::{Losses, Phase, Stop};

/// How long handshakes may still end, once a signal has come.
const LAST_HANDSHAKES: Duration = Duration::from_millis(100);
/// How long nobody may read standard output, once everything else has ended.
const LAST_WAIT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &ListenArgs) -> Result<(), Failure> {
    let config = args.end.config()?;
    let admission = if args.allow_any {
        Admission::any()
    } else {
        let keys: Result<Vec<_>, _> = args.allow.iter().map(PublicKeyArgument::key).collect();
        Admission::allow_list(keys?)
    };
    let runtime = start(args.end.ring.builder())?;
    let output = Output::start()?;
    let lines = output.lines();
    let result = runtime.block_on(async {
        let listener =
            Listener::bind_with(&args.address, &args.bind_options(), &config, admission).await;
        let listener = listener.map_err(|error| explain(error, &args.address))?;
        serve(args, listener, lines).await
    });
    drop(runtime);
    output.finish(result, LAST_WAIT)
}

fn explain(error: BindError, address: &Address) -> Failure {
    let is_path = matches!(address, Address::Unix(_));
    match &error {
        BindError::Bind { source, .. } if is_path => match source.kind() {
            io::ErrorKind::AddrInUse => Failure::with_advice(
                &error,
                "choose another path; --replace-dead-socket removes a socket that nobody \
                 listens on",
            ),
            io::ErrorKind::PermissionDenied => {
                Failure::with_advice(&error, "choose a directory that you may write to")
            }
            _ => error.into(),
        },
        BindError::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            Failure::with_advice(&error, "choose another port, or 0 for a free one")
        }
        BindError::Bind { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Failure::with_advice(&error, "choose a port from 1024 on")
        }
        BindError::Bind { source, .. } if source.kind() == io::ErrorKind::AddrNotAvailable => {
            Failure::with_advice(&error, "name an address of this host, or 0.0.0.0 for all")
        }
        _ => error.into(),
    }
}

async fn serve(args: &ListenArgs, mut listener: Listener, lines: Lines) -> Result<(), Failure> {
    // Before the address is printed: who has read it may already want us to end.
    let mut interrupts = Interrupts::new()?;
    let address = listener.local_address().to_string();
    let first_line = if args.json {
        json!({ "listening": address }).to_string()
    } else {
        format!("listening on {address}")
    };
    lines.print(lines.line(first_line.as_bytes())).await?;

    let input = (args.mode == Mode::Print)
        .then(|| stdio::input(args.end.max_message_size))
        .transpose()?;
    let (stop, losses) = (Rc::new(Stop::default()), Rc::new(Losses::default()));
    let peers = Peers::new(Rc::clone(&losses));
    let sessions = TaskGroup::new();
    let common = Common {
        mode: args.mode,
        answer_timeout: args.answer_timeout,
        lines: lines.clone(),
        peers: Rc::clone(&peers),
        stop: Rc::clone(&stop),
        losses: Rc::clone(&losses),
        crowd: Rc::new(Crowd::new()),
    };
    drop(spawn(distribute(input, peers, Rc::clone(&stop))));
    let result = tokio::select! {
        biased;
        () = interrupts.next() => Ok(()),
        () = lines.closed() => Err(Failure::OutputClosed),
        never = accept_all(&mut listener, &common, &sessions) => match never {},
    };
    stop.go_on_to(Phase::Draining);
    if result.is_ok() {
        // Nobody new comes in. Who was told just now that it is admitted may have sent something.
        listener.set_admission(Admission::any().filter(|_, _| false));
        tokio::select! {
            biased;
            never = accept_all(&mut listener, &common, &sessions) => match never {},
            () = elapsed(LAST_HANDSHAKES.min(args.drain_timeout)) => {}
        }
    }
    drop((listener, common));
    if result.is_ok() {
        tokio::select! {
            biased;
            () = sessions.drain() => {}
            () = elapsed(args.drain_timeout) => {}
        }
    }
    stop.go_on_to(Phase::Cut);
    sessions.drain().await;
    let lost = losses.text(result.is_err());
    match (result, lost) {
        (Ok(()), Some(text)) => Err(Failure::new(text)),
        (result @ Err(Failure::OutputClosed), Some(text)) => {
            // Not an error, but not to be passed over either.
            failure::warn(&text);
            result
        }
        (result, _) => result,
    }
}

/// Has each connection served by a task of its own.
async fn accept_all(listener: &mut Listener, common: &Common, sessions: &TaskGroup) -> Infallible {
    loop {
        serve_or_warn(listener.accept().await, common, sessions);
    }
}

fn serve_or_warn(outcome: Result<Connection, AcceptError>, common: &Common, sessions: &TaskGroup) {
    match outcome {
        Ok(connection) => {
            let session = Session::new(common.clone()).run(connection);
            (sessions.spawn(session)).expect("sessions are drained when nobody is accepted");
        }
        Err(error) => failure::warn_of_client(&error),
    }
}
