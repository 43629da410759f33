//! `listen`: a server, until a signal.
//!
//! * `echo`, `sink` and `print` are the handlers of the three modes, each a use of the library; `client`
//!   is what they have in common. `ringseal::guide::handlers` shows them without what counts losses.
//! * `account` and `losses` count what is lost of connections that are cut off; `echoes` what was not
//!   sent back; `figures` tells what has come.
//! * `printer` and `crowd` are for lines that nobody reads; `typed_lines` and `typed_queue` for those that
//!   are typed.
//! * `settings`, `threads` and `activation` put the server together; `reload`, `metrics` and
//!   `service_manager` serve who runs it.
//!
//! A signal does not end connections at once: the server drains. Nobody new comes in, each peer is told
//! that nothing more will be sent, and what it has sent until it ends too is taken.

mod account;
mod activation;
mod client;
mod crowd;
mod echo;
mod echoes;
mod figures;
mod losses;
mod metrics;
mod print;
mod printer;
mod reload;
mod server_failure;
mod service_manager;
mod settings;
mod shared;
mod sink;
mod threads;
mod typed_lines;
mod typed_queue;

use core::convert::Infallible;
use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use ringseal::{KeyFile, Server, ServerBuilder, ServerError};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::args::{ListenArgs, Mode};
use crate::failure::{self, Failure};
use crate::interrupts::Interrupts;
use crate::output::{Lines, Output};
use crate::standstill::elapsed_without_ring;
use crate::start::warn_of_fallback;
use crate::stdio;
use crowd::Crowd;
use losses::Losses;
use metrics::Metrics;
use reload::Reload;
use server_failure::{explain, unexpected};
use shared::Shared;
use typed_lines::{TypedLines, distribute};

/// How long nobody may read standard output, once everything else has ended.
const LAST_WAIT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &ListenArgs) -> Result<(), Failure> {
    let keys = args.allow_file.as_ref().map(KeyFile::load).transpose()?;
    let builder = settings::builder(args, keys.as_ref())?;
    settings::allow_descriptors(args);
    let metrics = args.metrics.map(Metrics::bind).transpose()?;
    let required = keys.clone().filter(|_| args.drop_removed);
    let reload = keys.map(|keys| Reload::catch(keys, args.drop_removed));
    let reload = reload.transpose()?;
    let output = Output::start()?;
    let losses = Arc::<Losses>::default();
    let shared = Shared {
        lines: output.lines(),
        typed: TypedLines::new(&losses),
        answer_timeout: args.answer_timeout,
        crowd: Arc::new(Crowd::new()),
        losses,
        required,
    };
    // Before the address is printed: who has read it may already want us to end.
    let interrupts = Interrupts::new()?;
    let server = start(args.mode, builder, &shared);
    let server = server.map_err(|error| explain(error, args))?;
    if let Some(reason) = server.fallback_reason() {
        warn_of_fallback(reason);
    }
    let first_lines = first_lines(args, &server, metrics.as_ref());
    if let Some(reload) = reload {
        reload.start(server.handle())?;
    }
    if let Some(metrics) = metrics {
        metrics.start(server.handle())?;
    }
    let result = serve(args, server, interrupts, shared, &first_lines);
    service_manager::finish();
    output.finish(result, LAST_WAIT)
}

/// Starts the server with the handler of this mode.
fn start(mode: Mode, builder: ServerBuilder, shared: &Shared) -> Result<Server, ServerError> {
    let shared = shared.clone();
    match mode {
        Mode::Print => builder.start(move |connection, session| {
            client::serve(connection, session, shared.clone(), print::print)
        }),
        Mode::Echo => builder.start(move |connection, session| {
            client::serve(connection, session, shared.clone(), echo::echo)
        }),
        Mode::Sink => builder.start(move |connection, session| {
            client::serve(connection, session, shared.clone(), sink::sink)
        }),
    }
}

/// What is printed before anything else.
fn first_lines(args: &ListenArgs, server: &Server, metrics: Option<&Metrics>) -> String {
    let mut addresses = server.local_addresses().iter();
    let metrics = metrics.map(Metrics::url);
    let mut lines = Vec::new();
    if args.json {
        let first = addresses.next().map(ToString::to_string);
        lines.push(match metrics {
            None => json!({ "listening": first }).to_string(),
            Some(url) => json!({ "listening": first, "metrics": url }).to_string(),
        });
        lines.extend(addresses.map(|it| json!({ "listening": it.to_string() }).to_string()));
    } else {
        lines.extend(addresses.map(|address| format!("listening on {address}")));
        lines.extend(metrics.map(|url| format!("metrics at {url}")));
    }
    lines.join("\n")
}

/// Serves until a signal, or until nobody reads standard output any more, and then until all of it has
/// ended.
fn serve(
    args: &ListenArgs,
    server: Server,
    mut interrupts: Interrupts,
    shared: Shared,
    first_lines: &str,
) -> Result<(), Failure> {
    let executor = Builder::new_current_thread().enable_time().build()?;
    let (draining, drains) = oneshot::channel::<Infallible>();
    let input = (args.mode == Mode::Print).then(|| stdio::input(args.end.max_message_size));
    let typing = distribute(input.transpose()?, Arc::clone(&shared.typed), async {
        // Nothing is ever sent: the other end goes when the server drains.
        let _ = drains.await;
    });
    let Shared { lines, losses, .. } = shared;
    executor.block_on(async {
        drop(executor.spawn(typing));
        let handle = server.handle();
        let mut ended = pin!(server.wait());
        let result = tokio::select! {
            biased;
            () = interrupts.next() => Ok(()),
            failure = announce(&lines, first_lines) => Err(failure),
            ended = &mut ended => return Err(unexpected(ended)),
        };
        service_manager::stopping();
        if result.is_ok() {
            handle.begin_drain(Duration::MAX);
        } else {
            handle.shut_down();
        }
        drop(draining);
        let drained = tokio::select! {
            biased;
            drained = &mut ended => drained?,
            () = elapsed_without_ring(args.drain_timeout) => {
                handle.begin_drain(Duration::ZERO);
                ended.await?
            }
        };
        if result.is_ok() {
            losses.all_cut(drained.cut as u64);
        }
        losses.threads(drained.lost_threads as u64);
        let lost = losses.text(result.is_err());
        match (result, lost) {
            (Ok(()), Some(text)) => Err(Failure::new(text)),
            (Err(Failure::OutputClosed), Some(text)) => {
                // Not an error, but not to be passed over either.
                failure::warn(&text);
                Err(Failure::OutputClosed)
            }
            (result, _) => result,
        }
    })
}

/// Says where the server is; is done when nobody reads standard output.
async fn announce(lines: &Lines, first_lines: &str) -> Failure {
    if let Err(failure) = lines.print(lines.line(first_lines.as_bytes())).await {
        return failure;
    }
    service_manager::ready();
    lines.closed().await;
    Failure::OutputClosed
}
