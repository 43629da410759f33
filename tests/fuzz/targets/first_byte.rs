//! What tells the wires apart: no stream goes on with listeners of both, and the byte that decides which
//! one it is for decides as the listeners do.

use std::sync::Arc;

use ringseal::protocol::native::Suites;
use ringseal::protocol::native::handshake as native;
use ringseal::protocol::{self, handshake as sake};

use crate::ends::{self, Draws, LISTENER, NAMESPACE};

pub(crate) fn first_byte(data: &[u8]) {
    let Some((&first, _)) = data.split_first() else {
        return;
    };
    let start = &data[..data.len().min(32)];
    let is_native = is_for_native(start);
    let is_commonware = [sake::SakeVersion::V0, sake::SakeVersion::V1]
        .map(|version| is_for_commonware(version, start));
    assert!(
        !is_native || is_commonware == [false; 2],
        "both go on with it"
    );
    assert_eq!(
        is_commonware[0], is_commonware[1],
        "the first message is the same in both"
    );
    assert!(!is_native || native::can_begin_with(first));
    assert!(is_commonware == [false; 2] || !native::can_begin_with(first));
    // Whatever a dialer gets is an answer by its first byte, or none.
    let is_answer = protocol::handshake::Dialer::can_begin_with(first);
    assert_eq!(is_answer, first == 0x88, "a SynAck has 136 bytes");
}

/// Whether a listener of the native wire waits for more.
fn is_for_native(start: &[u8]) -> bool {
    let parameters = ends::native_parameters(ends::settings());
    let setup = native::ListenerSetup::new(Arc::clone(&LISTENER), parameters, Suites::all());
    let mut listener = native::Listener::new(&setup.into());
    let mut output = Vec::new();
    let went_on = listener.receive(start, &mut Draws(2), &mut output).is_ok();
    assert!(output.is_empty(), "nobody gets a byte for that");
    went_on
}

/// Whether a listener of the commonware wire waits for more.
fn is_for_commonware(version: sake::SakeVersion, start: &[u8]) -> bool {
    let mut parameters = sake::Parameters::new(NAMESPACE);
    parameters.version = version;
    let mut listener = sake::Listener::new(Arc::clone(&LISTENER), &parameters);
    let mut output = Vec::new();
    let went_on = listener
        .receive(start, 0, &mut Draws(2), &mut output)
        .is_ok();
    assert!(output.is_empty(), "nobody gets a byte for that");
    went_on
}
