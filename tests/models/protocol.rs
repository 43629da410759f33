//! In the place of the library's room of this name: what its queues name of messages.

pub(crate) mod identity {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub(crate) struct PublicKey(pub(crate) u8);
}

pub(crate) mod layout {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum End {
        Authenticated,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortReason(pub(crate) u16);

#[derive(Clone, Copy, Debug)]
pub(crate) struct RefuseReason(u16);

impl RefuseReason {
    pub(crate) const SHUTTING_DOWN: Self = Self(1);
    pub(crate) const TOO_BUSY: Self = Self(2);
}
