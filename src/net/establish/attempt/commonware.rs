//! The handshake of the commonware wire, over a socket.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rand_core::UnwrapErr;

use super::client::Client;
use super::established::{Established, Who, establish};
use super::handshake_io::{Reader, write};
use super::other_protocol::other_protocol;
use crate::net::config::Config;
use crate::net::connection::Connection;
use crate::net::connection::link::Link;
use crate::net::connection::records::{IncomingRecords, OutgoingRecords};
use crate::net::error::AttemptError;
use crate::net::establish::progress::Stage;
use crate::protocol::Wire;
use crate::protocol::handshake::{Dialer, Listener, ListenerEvent, SakeVersion, Session};
use crate::protocol::record::CupsVersion;

/// Dials with these versions.
pub(super) async fn dial(
    link: Rc<Link>,
    who: Who,
    config: &Config,
    (sake, cups): (SakeVersion, CupsVersion),
) -> Result<Connection, AttemptError> {
    let mut output = Vec::new();
    let mut dialer = Dialer::new(
        config.identity(),
        who.peer,
        &config.sake(sake),
        now_ms(),
        &mut UnwrapErr(getrandom::SysRng),
        &mut output,
    )?;
    write(&link, &mut output).await?;
    let mut reader = Reader::new(&link)?;
    let mut is_first = true;
    loop {
        let input = reader.read(&link, dialer.wanted()).await?;
        if core::mem::replace(&mut is_first, false) && !Dialer::can_begin_with(input[0]) {
            return Err(other_protocol(input));
        }
        let (consumed, session) = dialer.receive(input, &mut output)?;
        reader.expect_consumed(consumed);
        if let Some(session) = session {
            write(&link, &mut output).await?;
            return establish(link, who, config, established(session, sake, cups, config));
        }
    }
}

/// Listens with these versions. `first` bytes of the first message were read before.
pub(super) async fn listen(
    mut client: Client<'_>,
    (sake, cups): (SakeVersion, CupsVersion),
    mut first: usize,
) -> Result<Connection, AttemptError> {
    let mut output = Vec::new();
    let identity = Arc::clone(client.listening.config.identity());
    let mut listener = Listener::new(identity, &client.listening.config.sake(sake));
    loop {
        let input = client.next(&mut first, listener.wanted()).await?;
        let (consumed, event) = listener.receive(
            input,
            now_ms(),
            &mut UnwrapErr(getrandom::SysRng),
            &mut output,
        )?;
        client.reader.expect_consumed(consumed);
        match event {
            ListenerEvent::NeedMore => {}
            ListenerEvent::Admit(key) => {
                client.progress.reach(Stage::Claimed);
                let wire = Wire::Commonware { sake, cups };
                let admitted = client.is_admitted(key, wire).await?;
                listener.admit(admitted)?;
                client.check_room(key).map_err(|denial| denial.error)?;
            }
            ListenerEvent::Done(peer, session) => {
                if let Err(denial) = client.take_room(peer, true) {
                    // The dialer has a connection, and must not take this for its end.
                    client.link.reset();
                    return Err(denial.error);
                }
                let established = established(session, sake, cups, &client.listening.config);
                let who = Who {
                    address: client.asking.address,
                    peer,
                };
                return establish(client.link, who, &client.listening.config, established);
            }
        }
        if !output.is_empty() {
            // The answer is only given to a key that was proved.
            client.progress.reach(Stage::Proven);
            write(&client.link, &mut output).await?;
        }
    }
}

fn established(
    session: Session,
    sake: SakeVersion,
    cups: CupsVersion,
    config: &Config,
) -> Established {
    let (sealer, opener) = session
        .records(cups, config.message_limit())
        .expect("Config refuses a limit beyond the wire's");
    Established {
        wire: Wire::Commonware { sake, cups },
        outgoing: OutgoingRecords::Commonware(sealer),
        incoming: IncomingRecords::Commonware(opener),
        exporter: None,
        alive_within: None,
    }
}

/// Our clock, in milliseconds since the Unix epoch. Before it, zero.
fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| {
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
        })
}
