//! Encrypted message streams over io_uring for Linux server backends.

extern crate alloc;

pub mod protocol;
