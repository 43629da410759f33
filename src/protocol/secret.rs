//! Where secrets lie, and what becomes of the stack that computing with them used.
//!
//! A value that is moved leaves its bytes where it was, and nobody wipes them there. So secrets
//! are made where they stay, in a box that is wiped before it is freed ([`Secret`]). The libraries
//! that compute with them keep copies in their frames, as does what the compiler spills; calls of
//! theirs are made below a frame that is overwritten afterwards ([`on_wiped_stack`]). The steady
//! state cannot pay for that with every message; its records' keys are wiped from the stack when
//! a direction is dropped.

use alloc::boxed::Box;
use core::ops::Deref;
use zeroize::{Zeroize, ZeroizeOnDrop, zeroize_stack};

/// Bytes of stack that are overwritten: more than the libraries use, whose frames are several times
/// larger where nothing is optimized. `tests/secrets.rs` looks for what is left.
const WIPED_LEN: usize = if cfg!(debug_assertions) { 64 } else { 16 } * 1024;

/// The same where ML-KEM is computed, which keeps whole matrices on the stack: 24 KB in `aws-lc-rs`,
/// 36 KB in `ml-kem` and 89 KB where that is not optimized, as measured.
const WIPED_LEN_OF_KEM: usize = if cfg!(debug_assertions) { 128 } else { 48 } * 1024;

/// 32 secret bytes. They never move, and are wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret(Box<[u8; 32]>);

impl Secret {
    /// Has them written to where they stay.
    pub(crate) fn filled_by(fill: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut secret = Self(Box::new([0; 32]));
        fill(&mut secret.0);
        secret
    }
}

impl Deref for Secret {
    type Target = [u8; 32];

    fn deref(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Calls `work` and overwrites the stack that it used.
///
/// What it gives is moved out, so it must hold secrets behind pointers only.
pub(crate) fn on_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    let result = out_of_line(work);
    wipe_stack();
    result
}

/// As [`on_wiped_stack`], for `work` in which ML-KEM is computed.
pub(in crate::protocol) fn on_wiped_stack_of_kem<T>(work: impl FnOnce() -> T) -> T {
    let result = out_of_line(work);
    zeroize_stack::<WIPED_LEN_OF_KEM>();
    result
}

/// Has frames of its own for all of `work`, below the caller's.
#[inline(never)]
fn out_of_line<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// Overwrites the stack below the caller's frame, where calls that returned had theirs.
pub(crate) fn wipe_stack() {
    zeroize_stack::<WIPED_LEN>();
}
