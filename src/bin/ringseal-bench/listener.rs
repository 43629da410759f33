//! The end that is connected to: does what the dialer orders, one dialer after the other.

use core::future::Future;
use std::time::Instant;

use ringseal::{Address, Admission, Config, Connection, Identity, Listener, PublicKey, timeout};
use ringseal_cli::failure::{self, Failure};
use ringseal_cli::work_order::{Description, WorkOrder};

use super::control::{END, MARK, PATIENCE, READY, describe};
use super::pinning::pin;
use super::settings::Settings;
use super::snapshot;
use super::workload::{Role, Workers};

/// What the listener is to do.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) settings: Settings,
    pub(crate) core: Option<usize>,
    pub(crate) address: Address,
    pub(crate) dialer: PublicKey,
    /// Whether another dialer may come when one has gone. If not, its failure is this end's.
    pub(crate) endless: bool,
}

/// Listens on the calling thread until `stop` is done. `bound` is told the address.
pub(crate) fn run(
    post: &Post,
    identity: Identity,
    bound: impl FnOnce(Address) -> Result<(), Failure>,
    stop: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    pin(post.core)?;
    let runtime = post.settings.runtime()?;
    runtime.block_on(async {
        let config = post.settings.config(identity, post.settings.size);
        let admission = Admission::allow_list([post.dialer]);
        let listener = Listener::bind(post.address.clone(), &config, admission).await?;
        tokio::select! {
            // First, so that what ends this is listened for before anybody knows the address.
            biased;
            result = stop => result,
            result = serve(post, listener, bound) => result,
        }
    })
}

async fn serve(
    post: &Post,
    mut listener: Listener,
    bound: impl FnOnce(Address) -> Result<(), Failure>,
) -> Result<(), Failure> {
    bound(listener.local_address())?;
    loop {
        let control = accept(&mut listener).await;
        match session(post, &mut listener, control).await {
            Err(Failure::Failed(text)) if post.endless => failure::warn(&text),
            result if !post.endless => return result,
            _ => {}
        }
    }
}

/// Accepts the next dialer that proves its key.
async fn accept(listener: &mut Listener) -> Connection {
    loop {
        match listener.accept().await {
            Ok(connection) => return connection,
            Err(error) => failure::warn_of_client(&error),
        }
    }
}

/// Serves one dialer from its order to its end.
async fn session(
    post: &Post,
    listener: &mut Listener,
    mut control: Connection,
) -> Result<(), Failure> {
    let message = timeout(PATIENCE, control.recv())
        .await
        .ok_or_else(|| Failure::new("a dialer came and ordered nothing"))??
        .ok_or_else(gone)?;
    let limit = post.settings.size.max(Config::DEFAULT_MAX_MESSAGE_SIZE);
    let order = match WorkOrder::decode(&message, post.settings.connections, limit) {
        Ok(order) => order,
        Err(failure) => {
            if let Failure::Failed(text) = &failure {
                let refusal = Description::encode(&Err(text.clone()));
                control.send(&refusal).await?;
                control.flush().await?;
                // Dropped at once, the connection could take the refusal with it.
                let _ = timeout(PATIENCE, control.recv()).await;
            }
            return Err(failure);
        }
    };
    drop(message);
    let mut workers = Workers::new(Role::Listener, order.work)?;
    let description = describe(&post.settings, post.core);
    let answer = Description::encode(&Ok(description));
    control.send(&answer).await?;
    let start = Instant::now();
    for _ in 0..order.connections {
        let connection = tokio::select! {
            connection = timeout(PATIENCE, accept(listener)) => connection
                .ok_or_else(|| Failure::new("the dialer did not make all of its connections"))?,
            _ = control.recv() => return Err(gone()),
        };
        workers.start(connection);
    }
    control.send(READY).await?;
    loop {
        let command = tokio::select! {
            biased;
            command = control.recv() => command?.ok_or_else(gone)?,
            failure = workers.failure() => return Err(failure),
        };
        if *command == *MARK {
            let snapshot = snapshot::take(start, &workers.received)?;
            control.send(&snapshot.encode()).await?;
        } else if *command == *END {
            drop(workers);
            control.send(END).await?;
            // The dialer goes first; what it does last is nothing that could fail here.
            let _ = control.flush().await;
            let _ = timeout(PATIENCE, control.recv()).await;
            return Ok(());
        } else {
            return Err(Failure::new("the dialer gave an unknown command"));
        }
    }
}

fn gone() -> Failure {
    Failure::new("the dialer has gone before the end of the measurement")
}
