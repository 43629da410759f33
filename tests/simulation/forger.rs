//! A dialer that has keys and does not keep to the handshake: what it says is sealed as it should be,
//! so that nothing but the check in question can notice.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use ringseal::internals::{native_forge, sake_forge};
use ringseal::protocol::native::handshake::{ANSWER_LEN, Dialer, Parameters};
use ringseal::protocol::native::{Settings, Suite};
use ringseal::{Identity, SakeVersion, Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::network::WireEnd;
use crate::random::Random;
use crate::scenario::{NAMESPACE, Pair};
use crate::world::milliseconds;

/// What is wrong with what a dialer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// Somebody else has signed.
    Signer,
    /// The finished value of the native wire is another.
    Finished,
}

/// Shakes hands with the listener of `pair`, until that has decided; returns the wire, which it may
/// still write to.
///
/// # Errors
///
/// What the wire says.
pub(crate) async fn dial(
    mut wire: WireEnd,
    pair: &Pair,
    flaw: Flaw,
    mut random: Random,
) -> io::Result<WireEnd> {
    match pair.wire {
        Wire::Native { suite } => dial_native(&mut wire, suite, flaw, &mut random).await?,
        Wire::Commonware { sake, .. } => dial_sake(&mut wire, sake, flaw, &mut random).await?,
        other => unreachable!("nobody draws {other}"),
    }
    // One that admits says so, and one that does not ends.
    match wire.read_u8().await {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(wire),
    }
}

async fn dial_native(
    wire: &mut WireEnd,
    suite: Suite,
    flaw: Flaw,
    random: &mut Random,
) -> io::Result<()> {
    let [identity, listener] = [0, 1].map(Pair::identity);
    let settings = Settings::new(Settings::MIN_RECORD_LIMIT, 1 << 20).expect("in range");
    let parameters = Parameters::new(NAMESPACE.as_bytes(), settings);
    let (identity, mut hello) = (Arc::new(identity), Vec::new());
    let peer = listener.public_key();
    let dialer = Dialer::new(&identity, peer, suite, &parameters, random, &mut hello);
    let dialer = dialer.expect("the listener's key is good");
    wire.write_all(&hello).await?;
    let mut answer = [0; ANSWER_LEN];
    wire.read_exact(&mut answer).await?;

    let mut claims = [0; native_forge::CLAIMS_LEN];
    let (key, own_settings) = claims.split_at_mut(32);
    key.copy_from_slice(identity.public_key().as_bytes());
    own_settings.copy_from_slice(&native_forge::settings_to(settings));
    let change = |part: &mut [u8]| {
        if flaw == Flaw::Finished {
            // Behind claims and signature.
            part[native_forge::CLAIMS_LEN + 64] ^= 1;
        }
    };
    let signer = signer(identity, flaw);
    let proof = native_forge::proof(&dialer, &answer, &signer, &claims, change);
    wire.write_all(&proof.expect("the answer is honest")).await
}

/// The commonware wire's: of somebody else's signature alone.
async fn dial_sake(
    wire: &mut WireEnd,
    version: SakeVersion,
    flaw: Flaw,
    random: &mut Random,
) -> io::Result<()> {
    let [identity, listener] = [0, 1].map(Pair::identity);
    let parties = sake_forge::Parties {
        version,
        namespace: NAMESPACE.as_bytes(),
        dialer: identity.public_key(),
        listener: listener.public_key(),
    };
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock past 1970");
    let (now, mut ephemeral) = (milliseconds(now), [0; 32]);
    random.fill(&mut ephemeral);
    let signer = signer(Arc::new(identity), flaw);
    wire.write_all(&sake_forge::syn(&parties, &signer, now, &ephemeral))
        .await
}

fn signer(identity: Arc<Identity>, flaw: Flaw) -> Arc<Identity> {
    match flaw {
        Flaw::Signer => Arc::new(Identity::from_seed(&[0xee; 32])),
        Flaw::None | Flaw::Finished => identity,
    }
}
