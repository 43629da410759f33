//! What the connections of all threads share.

use core::time::Duration;
use std::sync::Arc;

use ringseal::KeyFile;

use super::crowd::Crowd;
use super::losses::Losses;
use super::typed_lines::TypedLines;
use crate::output::Lines;

/// What the connections of all threads share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// Standard output.
    pub(super) lines: Lines,
    /// Standard input.
    pub(super) typed: Arc<TypedLines>,
    pub(super) answer_timeout: Duration,
    pub(super) crowd: Arc<Crowd>,
    pub(super) losses: Arc<Losses>,
    /// The file of keys whose connections are cut when they are removed from it.
    pub(super) required: Option<KeyFile>,
}
