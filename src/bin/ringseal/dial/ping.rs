//! `dial --ping`: one byte and its echo, again and again.

use core::cell::RefCell;
use std::time::Instant;

use ringseal::timeout;

use super::advice::{explain_recv, explain_send, leaving};
use super::patience::{ECHO_WAIT, wait};
use crate::args::DialArgs;
use crate::failure::Failure;
use crate::halves::{WholeReceiver, WholeSender};
use crate::round_trips::RoundTrips;
use crate::standstill::still_for;

/// Measures for as long as it was asked to.
pub(super) async fn ping(
    args: &DialArgs,
    mut sender: WholeSender,
    mut receiver: WholeReceiver,
) -> Result<RoundTrips, Failure> {
    let times = RefCell::new(RoundTrips::new());
    let limit = wait(args);
    let ended = tokio::select! {
        biased;
        result = round_trips(args, &mut sender, &mut receiver, &times) => result?,
        () = still_for(limit) => {
            return Err(Failure::new(format!(
                "no echo came within {:?} after {} round trips (--wait sets the limit); start \
                 the listener with --mode echo and compare --wire on both ends",
                limit.unwrap_or_default(),
                times.borrow().count()
            )));
        }
    };
    // Courtesy: every byte has come back, so the figures are complete; or the peer has ended in order, and
    // is told the same.
    let _ = timeout(ECHO_WAIT, sender.close()).await;
    if let Some(failure) = ended {
        return Err(failure);
    }
    let _ = timeout(ECHO_WAIT, receiver.recv()).await;
    Ok(times.into_inner())
}

/// Says what it means if the peer has ended the connection meanwhile.
async fn round_trips(
    args: &DialArgs,
    sender: &mut WholeSender,
    receiver: &mut WholeReceiver,
    times: &RefCell<RoundTrips>,
) -> Result<Option<Failure>, Failure> {
    let end = Instant::now() + args.seconds;
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(None);
        }
        sender.send(&[0x5a]).await.map_err(explain_send)?;
        let Some(echo) = receiver.recv().await.map_err(explain_recv)? else {
            let why = receiver.leaving().map_or_else(
                || "compare --wire on both ends".to_owned(),
                |reason| format!("it {}", leaving(reason)),
            );
            return Ok(Some(Failure::new(format!(
                "the peer ended the connection instead of echoing; {why}"
            ))));
        };
        times.borrow_mut().add(start.elapsed());
        if echo[..] != [0x5a] {
            return Err(Failure::new(
                "the peer sent something else than the echo; start it with --mode echo",
            ));
        }
    }
}
