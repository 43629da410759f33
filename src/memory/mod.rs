//! Memory that the kernel reads and writes: the only room with `unsafe` for memory.
//!
//! One [`Mapping`](mapping::Mapping) per ring thread is carved into slots of equal size:
//!
//! ```text
//! | slot 0 | slot 1 | slot 2 | ... | slot n-1 |   one mapping, page-aligned, zeroed once
//!     |        |
//!     |        +-- Pool: free, its key is vacant in the slab
//!     +-- Buffer (an exclusive range) | View (a shared, frozen range) | InFlight (the kernel's)
//! ```
//!
//! A slot is in exactly one of these hands:
//!
//! * the [`Pool`]: nobody can reach its bytes;
//! * one or more [`Buffer`]s and [`View`]s over disjoint ranges: a buffer may be written, a view
//!   only read. Ranges are split off, never joined, until one holder is left and reclaims the
//!   whole slot;
//! * an [`InFlight`] buffer: the kernel may read or write it, and no reference to its bytes exists.
//!
//! A [`Buffer`] becomes [`InFlight`], for the kernel to read or write, only as the sole holder of
//! its block. A [`View`] may do so at any time, for the kernel to read: it stays one of the block's
//! holders, and so keeps the block from being reclaimed or handed to the kernel for a read. Only a
//! completion turns either back. An [`InFlight`] that is dropped without its completion (the ring's
//! own teardown does that) leaks its block and with it the mapping: memory that the kernel may
//! still write is never freed and never reused.
//!
//! Messages larger than a slot, and those that find none, live in a block of the
//! [`heap`], under the same rules.

mod buffer;
mod class;
mod heap;
mod mapping;
mod pool;
mod process_mark;
mod raw_block;

pub(crate) use buffer::{Buffer, InFlight, Lent, View};
pub(crate) use class::Class;
pub(crate) use heap::{Account, Claim, Grant, Request};
pub(crate) use mapping::Mapping;
pub(crate) use pool::Pool;
pub(crate) use process_mark::ProcessMark;
