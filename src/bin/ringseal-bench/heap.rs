//! How much heap memory this process has, what C code has allocated included.

#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(
        unsafe_code,
        reason = "the C library is asked what its allocator has given out"
    )
)]

/// Bytes of heap blocks that are in use now, those of all threads and of C code; `None` where the C
/// library does not tell.
pub(crate) fn in_use() -> Option<usize> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it takes no arguments and gives numbers; glibc takes its own locks for it.
        let counted = unsafe { libc::mallinfo2() };
        Some(counted.uordblks + counted.hblkhd)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_count_while_they_are_there() {
        let Some(before) = in_use() else { return };
        // Other tests allocate at the same time, but not this much.
        let block = core::hint::black_box(vec![1_u8; 64 << 20]);
        let with = in_use().expect("as before");
        drop(block);
        let after = in_use().expect("as before");
        assert!(with >= before + (32 << 20), "{before} {with}");
        assert!(after + (32 << 20) <= with, "{with} {after}");
    }
}
