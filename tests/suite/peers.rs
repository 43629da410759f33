//! Pairs of peers for the tests.

use std::future::Future;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use super::setting::{backend, spawn, transport, wire};
use super::transport::{RawListener, RawStream, Transport, somewhere};
use crate::slowness::slowed;
use ringseal::protocol::native::Suite;
use ringseal::testing::{Conditions, duplex};
use ringseal::{
    Address, Admission, AttemptError, Config, Connection, CupsVersion, Identity, Listener,
    PublicKey, Runtime, RuntimeBuilder, SakeVersion, Wire,
};

/// No test waits longer for anything.
pub(crate) fn patience() -> Duration {
    slowed(Duration::from_secs(30))
}

/// Returns an identity that is always the same for `seed`.
pub(crate) fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

/// Returns the configuration of the identity with this seed, on the wire under test.
pub(crate) fn config(seed: u8) -> Config {
    Config::new(identity(seed), "ringseal tests")
        .wire(wire())
        .handshake_deadline(slowed(Config::DEFAULT_HANDSHAKE_DEADLINE))
        .first_message_timeout(slowed(Config::DEFAULT_FIRST_MESSAGE_TIMEOUT))
}

/// Returns the wires that have records of a layout or with a cipher of their own.
pub(crate) fn wires() -> impl Iterator<Item = Wire> {
    let commonware = [CupsVersion::V0, CupsVersion::V1].map(|cups| Wire::Commonware {
        sake: SakeVersion::V1,
        cups,
    });
    let native = Suite::ALL.map(|suite| Wire::Native { suite });
    commonware.into_iter().chain(native)
}

/// Whether a listener ended with `reason` because it does not admit the key that was proved.
pub(crate) fn is_not_admitted(reason: &AttemptError) -> bool {
    matches!(
        reason,
        AttemptError::Handshake(_) | AttemptError::NotAdmitted { .. }
    )
}

/// Returns the public key of the identity with this seed.
pub(crate) fn key(seed: u8) -> PublicKey {
    identity(seed).public_key()
}

/// After as many bytes a pattern begins again.
const PERIOD: usize = 251 * 128;

/// Fills `length` bytes that tell their position and `salt`.
pub(crate) fn pattern(length: usize, salt: usize) -> Vec<u8> {
    // Copied, because byte by byte takes too long in code that is not optimized. Not on the heap,
    // where tests count what is allocated.
    static PERIODS: [OnceLock<[u8; PERIOD]>; 256] = [const { OnceLock::new() }; 256];
    let period = PERIODS[salt % 256].get_or_init(|| {
        std::array::from_fn(|index| (index * 31 + index / 251 + salt).to_le_bytes()[0])
    });
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let rest = length - bytes.len();
        bytes.extend_from_slice(&period[..rest.min(PERIOD)]);
    }
    bytes
}

/// Fails the test instead of hanging.
pub(crate) async fn patiently<F: Future>(future: F) -> F::Output {
    // Boxed as what it gives alone, so that the executor is not compiled again for each test.
    let future: Pin<Box<dyn Future<Output = F::Output> + '_>> = Box::pin(future);
    ringseal::timeout(patience(), future)
        .await
        .expect("took too long")
}

/// Returns the default settings on the driver under test.
pub(crate) fn builder() -> RuntimeBuilder {
    Runtime::builder().backend(backend())
}

/// Runs `test` inside a small runtime.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    run_with(builder(), test)
}

/// Runs `test` inside a runtime with these settings.
pub(crate) fn run_with<F: Future>(builder: RuntimeBuilder, test: F) -> F::Output {
    let runtime = builder.build().expect("io_uring on this host");
    runtime.block_on(patiently(test))
}

/// Connects two peers of this runtime: the dialer's end and the listener's.
pub(crate) async fn pair() -> (Connection, Connection) {
    pair_with(&config(1), &config(2)).await
}

/// Connects two peers of this runtime with these settings.
pub(crate) async fn pair_with(dialer: &Config, listener: &Config) -> (Connection, Connection) {
    if transport() == Transport::Memory {
        // As much as sockets take.
        let conditions = || Conditions::default().capacity(1 << 20);
        let (near, far) = duplex(conditions(), conditions());
        let admission = Admission::any();
        let (dialed, accepted) = futures_util::join!(
            ringseal::dial_over(near, listener.public_key(), dialer),
            ringseal::accept_over(far, listener, &admission)
        );
        return (dialed.expect("dial"), accepted.expect("accept"));
    }
    let mut socket = Listener::bind(somewhere(), listener, Admission::any())
        .await
        .expect("bind");
    let address = socket.local_address();
    let (dialed, accepted) = futures_util::join!(
        ringseal::dial(address, listener.public_key(), dialer),
        socket.accept()
    );
    (dialed.expect("dial"), accepted.expect("accept"))
}

/// Relays bytes in both directions, changed by `change`, which gets the bytes that go to the
/// listener with their offset and says how many of them pass before the connection is cut.
pub(crate) fn relay(
    target: Address,
    mut change: impl FnMut(usize, &mut [u8]) -> usize + Send + 'static,
) -> Address {
    let relay = RawListener::bind();
    let address = relay.address();
    spawn(move || {
        let mut client = relay.accept();
        let mut server = RawStream::connect(target);
        let mut back = server.try_clone();
        let mut forth = client.try_clone();
        let answers = spawn(move || {
            let _ = std::io::copy(&mut back, &mut forth);
            forth.shutdown(Shutdown::Write);
        });
        let mut offset = 0;
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = client.read(&mut chunk) {
            let passed = change(offset, &mut chunk[..count]);
            if server.write_all(&chunk[..passed]).is_err() || passed < count {
                break;
            }
            offset += count;
        }
        server.shutdown(Shutdown::Write);
        // What still comes is read, so that the end is a FIN and not a reset.
        let _ = std::io::copy(&mut client, &mut std::io::sink());
        let _ = answers.join();
    });
    address
}
