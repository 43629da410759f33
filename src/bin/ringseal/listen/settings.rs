//! The settings of the server, as the command line and the environment say.

use ringseal::{Address, Admission, KeyFile, ServerBuilder};

use super::activation::Activation;
use super::threads;
use crate::args::{LEAVING, ListenArgs};
use crate::descriptors;
use crate::failure::{self, Failure};
use crate::public_key_argument::PublicKeyArgument;

/// Puts the settings together.
///
/// # Errors
///
/// What does not fit, and what to change.
pub(super) fn builder(args: &ListenArgs, keys: Option<&KeyFile>) -> Result<ServerBuilder, Failure> {
    let admission = admission(args, keys)?;
    let builder = ServerBuilder::new(args.config()?, admission)
        .limits(args.limits())
        .runtime(args.runtime())
        .leaving_reason(LEAVING)
        .on_accept_error(failure::warn_of_client);
    let builder = listen_on(builder, args, &Activation::of_environment())?;
    threads::set(builder, &args.threads)
}

fn admission(args: &ListenArgs, keys: Option<&KeyFile>) -> Result<Admission, Failure> {
    if let Some(keys) = keys {
        return Ok(keys.admission());
    }
    if args.allow_any {
        return Ok(Admission::any());
    }
    let keys: Result<Vec<_>, _> = args.allow.iter().map(PublicKeyArgument::key).collect();
    Ok(Admission::allow_list(keys?))
}

/// Sets where clients come from: one address, or the sockets that were passed.
fn listen_on(
    builder: ServerBuilder,
    args: &ListenArgs,
    activation: &Activation,
) -> Result<ServerBuilder, Failure> {
    if let Some(address) = &args.address {
        if activation.is_ours() {
            return Err(both(address));
        }
        return Ok(builder.bind_with(address.clone(), args.bind_options()));
    }
    let sockets = activation.sockets()?;
    if sockets.is_empty() {
        return Err(Failure::new(
            "there is nothing to listen on; give an address, as in 127.0.0.1:9000, or have systemd \
             pass a socket",
        ));
    }
    Ok(sockets.into_iter().fold(builder, ServerBuilder::listen_on))
}

/// Lets this process have as many descriptors as there may be connections, as far as that goes.
pub(super) fn allow_descriptors(args: &ListenArgs) {
    let advice = "lower --max-connections, or raise the limit (ulimit -Hn, LimitNOFILE=)";
    let allowed = descriptors::allow(args.descriptors(), advice);
    if let Err(Failure::Failed(text)) = allowed {
        failure::warn(&format!("warning: {text}"));
    }
}

fn both(address: &Address) -> Failure {
    Failure::new(format!(
        "a socket was passed (LISTEN_FDS), and {address} is to be listened on as well; leave the \
         address out, or start ringseal without the .socket unit"
    ))
}
