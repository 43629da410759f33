//! `listen`: many connections at once, until a signal.

use core::cell::RefCell;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::rc::Rc;

use ringseal::{
    Address, Admission, BindError, Connection, Listener, Receiver, Sender, spawn, timeout,
};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::args::{ListenArgs, Mode};
use crate::failure::{self, Failure};
use crate::interrupts::Interrupts;
use crate::report::Tally;
use crate::start::start;
use crate::stdio::{self, Lines, Output};

/// How long the end may take after a signal, for each thing that could hold it up.
const END: Duration = Duration::from_secs(1);
/// How long a peer that reads nothing may hold up the lines for the others.
const STALL: Duration = Duration::from_secs(5);
/// Lines that may wait for one peer.
const WAITING_LINES: usize = 16;

pub(crate) fn run(args: &ListenArgs) -> Result<(), Failure> {
    let config = args.end.config()?;
    let admission = if args.allow_any {
        Admission::any()
    } else {
        Admission::allow_list(args.allow.iter().copied())
    };
    let runtime = start(args.end.ring.builder())?;
    let output = Output::start();
    let lines = output.lines();
    let result = runtime.block_on(async {
        let listener = Listener::bind(args.address(), &config, admission).await;
        let listener = listener.map_err(|error| explain(error, &args.address))?;
        serve(args, listener, lines).await
    });
    drop(runtime);
    output.finish(result, END)
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
    lines.print(first_line.as_bytes()).await?;

    let peers = Rc::new(Peers::default());
    if args.mode == Mode::Print {
        drop(spawn(broadcast(
            args.end.max_message_size,
            Rc::clone(&peers),
        )));
    }
    let (stop, stopped) = watch::channel(false);
    // Each session holds a sender, so the channel ends with the last of them.
    let (session, mut sessions) = mpsc::channel::<()>(1);
    let result = loop {
        tokio::select! {
            () = interrupts.next() => break Ok(()),
            () = lines.closed() => break Err(Failure::OutputClosed),
            outcome = listener.accept() => match outcome {
                Ok(connection) => {
                    let context = Session {
                        mode: args.mode,
                        lines: lines.clone(),
                        peers: Rc::clone(&peers),
                        stopped: stopped.clone(),
                        _alive: session.clone(),
                    };
                    drop(spawn(context.run(connection)));
                }
                Err(error) => failure::warn_of_client(&error),
            },
        }
    };
    drop((listener, session));
    stop.send_replace(true);
    // Nobody is left to tell if the sessions take longer.
    let _ = timeout(END, sessions.recv()).await;
    result
}

/// What a connection needs besides itself.
struct Session {
    mode: Mode,
    lines: Lines,
    peers: Rc<Peers>,
    stopped: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
}

impl Session {
    async fn run(mut self, connection: Connection) {
        let (peer, address) = (connection.peer(), connection.peer_address().clone());
        if io::stderr().is_terminal() {
            failure::warn(&format!("{peer} connected from {address}"));
        }
        let (mut sender, mut receiver) = connection.split();
        let mut tally = Tally::default();
        let mut stopped = self.stopped.clone();
        let work = async {
            match self.mode {
                Mode::Print => self.print(&mut sender, &mut receiver).await,
                Mode::Echo => echo(&mut sender, &mut receiver).await,
                Mode::Sink => sink(&mut receiver, &mut tally).await,
            }
        };
        let result = tokio::select! {
            result = work => result,
            _ = stopped.wait_for(|stop| *stop) => Ok(()),
        };
        if self.mode == Mode::Sink {
            let line = tally.figures().json_with_peer(peer).to_string();
            // The loop that accepts sees for itself when there is no reader.
            let _ = self.lines.print(line.as_bytes()).await;
        }
        match result {
            Ok(()) => {
                let patience = if *self.stopped.borrow() { END } else { STALL };
                // The peer has ended, so it may be gone as well.
                let _ = timeout(patience, sender.close()).await;
            }
            Err(Failure::Failed(text)) => failure::warn(&format!(
                "the connection with {peer} at {address} failed: {text}"
            )),
            Err(Failure::OutputClosed) => {}
        }
    }

    /// Prints what comes and sends what is typed, until the peer ends.
    async fn print(&mut self, sender: &mut Sender, receiver: &mut Receiver) -> Result<(), Failure> {
        let (entry, mut typed) = self.peers.enter();
        let reads = async {
            while let Some(message) = receiver.recv().await? {
                self.lines.print(&message).await?;
            }
            Ok(())
        };
        let writes = async {
            while let Some(line) = typed.recv().await {
                sender.send(&line).await?;
            }
            Err(Failure::new("it does not read what is sent to it"))
        };
        let result = tokio::select! {
            result = reads => result,
            result = writes => result,
        };
        self.peers.leave(entry);
        result
    }
}

async fn echo(sender: &mut Sender, receiver: &mut Receiver) -> Result<(), Failure> {
    while let Some(message) = receiver.recv().await? {
        sender.send(&message).await?;
    }
    Ok(())
}

async fn sink(receiver: &mut Receiver, tally: &mut Tally) -> Result<(), Failure> {
    while let Some(message) = receiver.recv().await? {
        tally.add(message.len());
    }
    Ok(())
}

type Line = Rc<Vec<u8>>;

/// Where typed lines go.
#[derive(Debug, Default)]
struct Peers {
    next: core::cell::Cell<u64>,
    lines: RefCell<BTreeMap<u64, mpsc::Sender<Line>>>,
}

impl Peers {
    fn enter(&self) -> (u64, mpsc::Receiver<Line>) {
        let entry = self.next.get();
        self.next.set(entry + 1);
        let (sender, receiver) = mpsc::channel(WAITING_LINES);
        self.lines.borrow_mut().insert(entry, sender);
        (entry, receiver)
    }

    fn leave(&self, entry: u64) {
        self.lines.borrow_mut().remove(&entry);
    }
}

/// Gives each line of standard input to every peer.
async fn broadcast(max_line: u32, peers: Rc<Peers>) {
    let mut input = stdio::input(max_line);
    while let Some(item) = input.recv().await {
        let line = match item {
            Ok(line) => Rc::new(line),
            Err(Failure::Failed(text)) => return failure::warn(&text),
            Err(Failure::OutputClosed) => return,
        };
        let senders: Vec<_> = (peers.lines.borrow().iter())
            .map(|(entry, sender)| (*entry, sender.clone()))
            .collect();
        for (entry, sender) in senders {
            if timeout(STALL, sender.send(Rc::clone(&line)))
                .await
                .is_none()
            {
                // Its session sees the end of the channel and ends the connection.
                peers.leave(entry);
            }
        }
    }
}
