//! Who may connect: asked with the key that the peer claims, before it has proved anything.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::collections::HashSet;
use std::sync::Arc;

use crate::protocol::identity::PublicKey;

type Check = dyn Fn(PublicKey) -> Pin<Box<dyn Future<Output = bool>>> + Send + Sync;

/// Decides which identities a listener talks to.
///
/// Yes only lets the handshake go on; only a finished handshake proves the identity. The check
/// runs at most once an attempt and within the handshake deadline.
#[derive(Clone)]
pub struct Admission {
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Any,
    AllowList(Arc<HashSet<PublicKey>>),
    Check(Arc<Check>),
}

impl Admission {
    /// Admits everybody who can prove some identity.
    pub fn any() -> Self {
        Self { kind: Kind::Any }
    }

    /// Admits exactly these keys.
    pub fn allow_list(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self {
            kind: Kind::AllowList(Arc::new(keys.into_iter().collect())),
        }
    }

    /// Admits whom `check` says yes to.
    pub fn check(check: impl Fn(PublicKey) -> bool + Send + Sync + 'static) -> Self {
        Self::check_async(move |key| core::future::ready(check(key)))
    }

    /// Admits whom the future of `check` says yes to.
    pub fn check_async<F>(check: impl Fn(PublicKey) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + 'static,
    {
        Self {
            kind: Kind::Check(Arc::new(move |key| Box::pin(check(key)))),
        }
    }

    pub(crate) async fn admits(&self, key: PublicKey) -> bool {
        match &self.kind {
            Kind::Any => true,
            Kind::AllowList(keys) => keys.contains(&key),
            Kind::Check(check) => check(key).await,
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match &self.kind {
            Kind::Any => "Admission::any",
            Kind::AllowList(_) => "Admission::allow_list",
            Kind::Check(_) => "Admission::check",
        })
    }
}
