//! `dial`: lines to a listener and back, or a measurement.

use core::time::Duration;
use std::io::{self, IsTerminal};
use std::time::Instant;

use clap::CommandFactory;
use clap::error::ErrorKind;
use ringseal::{AttemptError, DialError, Receiver, RecvError, SendError, Sender, spawn, timeout};

use crate::args::{Cli, DialArgs};
use crate::failure::{self, Failure};
use crate::interrupts;
use crate::report::{Figures, RoundTrips};
use crate::start::start;
use crate::stdio::{self, Lines, Output};

/// How long to wait for the peer once there is nothing left to do here.
const PATIENCE: Duration = Duration::from_secs(5);
/// A flood looks at the clock once in so many messages or bytes, whichever comes first.
const CLOCK_MESSAGES: u64 = 64;
const CLOCK_BYTES: u64 = 1024 * 1024;

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
    let config = args.end.config()?;
    let runtime = start(args.end.ring.builder())?;
    let output = Output::start();
    let lines = output.lines();
    let result = runtime.block_on(async {
        let connection = ringseal::dial(args.address.clone(), args.peer, &config)
            .await
            .map_err(explain)?;
        let (sender, receiver) = connection.split();
        if args.flood {
            let figures = flood(args, sender, receiver).await?;
            let line = if args.json {
                figures.json_with_peer(args.peer).to_string()
            } else {
                format!("sent {figures}")
            };
            lines.print(line.as_bytes()).await
        } else if args.ping {
            let times = ping(args, sender, receiver).await?;
            let line = if args.json {
                let mut value = times.json();
                value["peer"] = args.peer.to_string().into();
                value.to_string()
            } else {
                times.to_string()
            };
            lines.print(line.as_bytes()).await
        } else {
            talk(args, sender, receiver, lines).await
        }
    });
    drop(runtime);
    output.finish(result, Duration::MAX)
}

fn explain(error: DialError) -> Failure {
    match &error {
        DialError::Connect { .. } => {
            Failure::with_advice(&error, "is `ringseal listen` running there?")
        }
        DialError::Attempt(AttemptError::Deadline) => Failure::new(
            "no handshake within 5 seconds; compare address and port, the peer is silent or slow",
        ),
        _ => error.into(),
    }
}

/// What to try when a peer goes that has just shaken hands.
const GONE: &str = "the peer has gone; if that was at once, compare --wire on both ends";

fn explain_send(error: SendError) -> Failure {
    match &error {
        SendError::Transport(_) => Failure::with_advice(&error, GONE),
        _ => error.into(),
    }
}

fn explain_recv(error: RecvError) -> Failure {
    match &error {
        RecvError::Transport(_) => Failure::with_advice(&error, GONE),
        _ => error.into(),
    }
}

/// Sends the lines of standard input and prints what comes back.
async fn talk(
    args: &DialArgs,
    mut sender: Sender,
    mut receiver: Receiver,
    lines: Lines,
) -> Result<(), Failure> {
    if io::stdin().is_terminal() {
        failure::warn(&format!(
            "connected to {} at {}; each line is a message, Ctrl-D ends",
            args.peer, args.address
        ));
    }
    let mut typed = stdio::input(args.end.max_message_size);
    let writes = async move {
        let mut result = Ok(());
        while let Some(item) = typed.recv().await {
            match item {
                Ok(line) => sender.send(&line).await.map_err(explain_send)?,
                Err(error) => result = Err(error),
            }
        }
        // Also after an error: the lines before it were sent.
        sender.close().await.map_err(explain_send)?;
        result
    };
    let reads = async {
        while let Some(message) = receiver.recv().await.map_err(explain_recv)? {
            lines.print(&message).await?;
        }
        Ok::<_, Failure>(())
    };
    tokio::pin!(reads);
    tokio::select! {
        biased;
        result = writes => result?,
        result = &mut reads => {
            result?;
            return Err(Failure::new(
                "the peer ended the connection before standard input ended; if that was at once, \
                 compare --wire on both ends",
            ));
        }
        () = lines.closed() => return Err(Failure::OutputClosed),
    }
    // A peer that keeps its direction open is no reason to stay.
    timeout(PATIENCE, reads).await.unwrap_or(Ok(()))
}

/// Sends messages as fast as the peer takes them.
async fn flood(
    args: &DialArgs,
    mut sender: Sender,
    mut receiver: Receiver,
) -> Result<Figures, Failure> {
    let message = vec![0x5a; args.size as usize];
    let size = u64::from(args.size);
    let chunk = (CLOCK_BYTES / size.max(1)).clamp(1, CLOCK_MESSAGES);
    // What the peer sends has to go somewhere, or both ends come to a halt.
    let drained = spawn(async move {
        while receiver.recv().await?.is_some() {}
        Ok::<_, RecvError>(())
    });
    let start = Instant::now();
    let all = async {
        let mut messages = 0;
        while start.elapsed() < args.seconds {
            for _ in 0..chunk {
                sender.send(&message).await.map_err(explain_send)?;
            }
            messages += chunk;
        }
        // Only now has the kernel taken them all.
        sender.flush().await.map_err(explain_send)?;
        Ok::<_, Failure>(Figures {
            messages,
            bytes: messages * size,
            elapsed: start.elapsed(),
        })
    };
    let stalled = || Failure::new("the peer stopped reading; the flood could not end in time");
    let limit = args.seconds + PATIENCE;
    let figures = timeout(limit, all).await.ok_or_else(stalled)??;
    timeout(PATIENCE, sender.close())
        .await
        .ok_or_else(stalled)?
        .map_err(explain_send)?;
    // The peer has read everything when it ends. Its own troubles change no figure of ours.
    let _ = timeout(PATIENCE, drained).await;
    Ok(figures)
}

/// Sends one byte and waits for its echo, again and again.
async fn ping(
    args: &DialArgs,
    mut sender: Sender,
    mut receiver: Receiver,
) -> Result<RoundTrips, Failure> {
    let mut times = RoundTrips::new();
    let all = async {
        let end = Instant::now() + args.seconds;
        loop {
            let start = Instant::now();
            if start >= end {
                return Ok(());
            }
            sender.send(&[0x5a]).await.map_err(explain_send)?;
            let Some(echo) = receiver.recv().await.map_err(explain_recv)? else {
                return Err(Failure::new(
                    "the peer ended the connection instead of echoing; compare --wire on both ends",
                ));
            };
            times.add(start.elapsed());
            if echo[..] != [0x5a] {
                return Err(Failure::new(
                    "the peer sent something else than the echo; start it with --mode echo",
                ));
            }
        }
    };
    let Some(result) = timeout(args.seconds + PATIENCE, all).await else {
        return Err(Failure::new(format!(
            "no echo came after {} round trips; start the listener with --mode echo and compare \
             --wire on both ends",
            times.count()
        )));
    };
    result?;
    // Courtesy; the figures are complete.
    let _ = timeout(PATIENCE, sender.close()).await;
    let _ = timeout(PATIENCE, receiver.recv()).await;
    Ok(times)
}
