//! Who may connect: by the address, before any work is spent; and by the key, which the peer claims
//! before it has proved anything on the commonware wire, and has proved on the native one.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::address::Address;
use super::unix_socket::PeerCredentials;
use crate::driver::catch_panic;
use crate::protocol::Wire;
use crate::protocol::identity::{KeyList, PublicKey};

type Filter = dyn Fn(&Address, Option<PeerCredentials>) -> bool + Send + Sync;
type Check = dyn Fn(Applicant) -> Pin<Box<dyn Future<Output = bool>>> + Send + Sync;

/// Who asks to be admitted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Applicant {
    /// The identity: on the native wire it is proved, on the commonware wire only claimed as yet.
    pub key: PublicKey,
    /// Where the client is.
    pub address: Address,
    /// What it speaks, with the suite that it has chosen.
    pub wire: Wire,
}

/// Decides which identities a listener talks to.
///
/// On the commonware wire yes only lets the handshake go on, and only a finished handshake proves
/// the identity; on the native wire only proved identities are asked about. The check
/// runs at most once an attempt and within the handshake deadline.
#[derive(Clone)]
pub struct Admission {
    kind: Kind,
    filter: Option<Arc<Filter>>,
}

#[derive(Clone)]
enum Kind {
    Any,
    AllowList(Arc<HashSet<PublicKey>>),
    KeyList(KeyList),
    Keys(CurrentKeys),
    Check(Arc<Check>),
}

impl Admission {
    /// Admits everybody who can prove some identity.
    pub fn any() -> Self {
        Kind::Any.into()
    }

    /// Admits exactly these keys.
    pub fn allow_list(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Kind::AllowList(Arc::new(keys.into_iter().collect())).into()
    }

    /// Admits exactly the keys of this list, which is shared and not copied. For one that may change,
    /// see [`KeyFile::admission`](crate::KeyFile::admission).
    pub fn key_list(keys: &KeyList) -> Self {
        Kind::KeyList(keys.clone()).into()
    }

    /// Admits the keys that are listed at the time.
    pub(crate) fn current_keys(keys: &CurrentKeys) -> Self {
        Kind::Keys(keys.clone()).into()
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
        Self::check_applicant(move |applicant| check(applicant.key))
    }

    /// Admits whom the future of `check` says yes to, by all that is known of a client.
    ///
    /// ```
    /// use ringseal::{Admission, Wire};
    ///
    /// // Whoever comes from elsewhere has to speak the native wire.
    /// let admission = Admission::check_applicant(|applicant| {
    ///     let address = applicant.address.socket_address();
    ///     let is_near = address.is_none_or(|address| address.ip().is_loopback());
    ///     core::future::ready(is_near || matches!(applicant.wire, Wire::Native { .. }))
    /// });
    /// ```
    pub fn check_applicant<F>(check: impl Fn(Applicant) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + 'static,
    {
        Kind::Check(Arc::new(move |applicant| Box::pin(check(applicant)))).into()
    }

    /// Also asks `filter` about the address of each client, and for a Unix-domain socket about who
    /// is at the other end, before a byte is read and any work is spent on it. Whom the filter says
    /// no to is refused as [`Incoming::refuse`](crate::Incoming::refuse) does it; a [`Listener`]
    /// reports that only in [`Statistics::refused`](crate::Statistics::refused), so that a flood
    /// costs no more than its sockets. If the filter panics, the client is refused.
    ///
    /// A client that waits until there is room for its handshake may be asked about again. Streams
    /// of [`accept_over`](crate::accept_over) have no address, and are not asked about. A filter that
    /// was set before is replaced.
    ///
    /// ```
    /// use ringseal::Admission;
    ///
    /// let admission = Admission::any().filter(|address, credentials| {
    ///     let is_private = address.socket_address().is_some_and(|address| match address.ip() {
    ///         std::net::IpAddr::V4(address) => address.is_private() || address.is_loopback(),
    ///         std::net::IpAddr::V6(address) => address.is_loopback(),
    ///     });
    ///     is_private || credentials.is_some_and(|credentials| credentials.user == 0)
    /// });
    /// ```
    ///
    /// [`Listener`]: crate::Listener
    #[must_use]
    pub fn filter(
        mut self,
        filter: impl Fn(&Address, Option<PeerCredentials>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    /// Whether a client may shake hands, by what is known of it before.
    pub(crate) fn admits_source(
        &self,
        address: &Address,
        credentials: Option<PeerCredentials>,
    ) -> bool {
        self.filter.as_ref().is_none_or(|filter| {
            let is_admitted = catch_panic(|| filter(address, credentials));
            is_admitted.unwrap_or(false)
        })
    }

    pub(crate) async fn admits(&self, applicant: Applicant) -> bool {
        match &self.kind {
            Kind::Any => true,
            Kind::AllowList(keys) => keys.contains(&applicant.key),
            Kind::KeyList(keys) => keys.contains(&applicant.key),
            Kind::Keys(keys) => keys.get().contains(&applicant.key),
            Kind::Check(check) => check(applicant).await,
        }
    }
}

/// The admission of a listener, which any thread may replace.
#[derive(Clone, Debug)]
pub(crate) struct CurrentAdmission(Arc<Mutex<Admission>>);

impl CurrentAdmission {
    pub(crate) fn new(admission: Admission) -> Self {
        Self(Arc::new(Mutex::new(admission)))
    }

    /// Returns what holds for a handshake that begins now.
    pub(crate) fn get(&self) -> Admission {
        self.with(|current| current.clone())
    }

    pub(crate) fn set(&self, admission: Admission) {
        let previous = self.with(|current| core::mem::replace(current, admission));
        // What a check holds is foreign, and may come back here when it is dropped.
        drop(previous);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Admission) -> T) -> T {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A list of keys that any thread may replace, for all who go by it at once.
#[derive(Clone, Debug)]
pub(crate) struct CurrentKeys(Arc<Mutex<KeyList>>);

impl CurrentKeys {
    pub(crate) fn new(keys: KeyList) -> Self {
        Self(Arc::new(Mutex::new(keys)))
    }

    /// Returns the list that holds now.
    pub(crate) fn get(&self) -> KeyList {
        self.lock().clone()
    }

    /// Has `keys` hold from now on, and returns those before.
    pub(crate) fn replace(&self, keys: KeyList) -> KeyList {
        core::mem::replace(&mut *self.lock(), keys)
    }

    fn lock(&self) -> MutexGuard<'_, KeyList> {
        // Nothing in here panics between two states, so a poisoned lock guards good data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Kind> for Admission {
    fn from(kind: Kind) -> Self {
        Self { kind, filter: None }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match &self.kind {
            Kind::Any => "Admission::any",
            Kind::AllowList(_) => "Admission::allow_list",
            Kind::KeyList(_) => "Admission::key_list",
            Kind::Keys(_) => "KeyFile::admission",
            Kind::Check(_) => "Admission::check",
        })
    }
}
