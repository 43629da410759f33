//! In the place of what keeps a server from starting.

#[derive(Debug)]
pub(crate) enum ServerError {
    ZeroLimit { limit: &'static str },
}
