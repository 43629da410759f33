//! One anonymous mapping: page-aligned, zeroed, kept out of forks and core files.

#![expect(unsafe_code, reason = "this room maps and unmaps memory")]

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use std::io;

#[cfg(all(target_os = "linux", not(miri)))]
use rustix::mm::Advice;
use rustix::mm::{MapFlags, ProtFlags};

use super::process_mark::ProcessMark;

/// Where transparent huge pages begin on x86_64 and on aarch64 with 4 KiB pages, in bytes.
const HUGE_PAGE_SIZE: usize = 2 * 1024 * 1024;

/// An owned range of zeroed pages.
///
/// The address never changes, so pointers into it stay good while the value lives.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// First usable byte, aligned to a huge page when the mapping is at least that long.
    base: NonNull<u8>,
    /// Usable bytes from `base`.
    length: usize,
    /// What mmap returned, for munmap. May start before `base` by less than a huge page.
    mapped: NonNull<c_void>,
    /// What mmap was asked for, in bytes.
    mapped_length: usize,
    /// The process that has the pages: a forked child has none at these addresses, or others.
    process: ProcessMark,
}

impl Mapping {
    /// Maps `length` zeroed bytes, rounded up to whole pages.
    ///
    /// # Errors
    ///
    /// What the kernel says, `ENOMEM` as a rule.
    pub(crate) fn new(length: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let length = length
            .max(1)
            .checked_next_multiple_of(page)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        // Slack to move the start up to a huge page boundary. It is never touched: address
        // space only.
        let slack = if length >= HUGE_PAGE_SIZE {
            HUGE_PAGE_SIZE
        } else {
            0
        };
        let mapped_length = length
            .checked_add(slack)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice overlaps no
        // memory that Rust knows of.
        let mapped = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                mapped_length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let mapped = NonNull::new(mapped).ok_or(io::ErrorKind::OutOfMemory)?;
        let offset = match slack {
            0 => 0,
            _ => mapped.as_ptr().addr().next_multiple_of(HUGE_PAGE_SIZE) - mapped.as_ptr().addr(),
        };
        // SAFETY: `offset` is at most `slack`, so the result lies within the mapping.
        let base = unsafe { mapped.cast::<u8>().add(offset) };
        let mapping = Self {
            base,
            length,
            mapped,
            mapped_length,
            process: ProcessMark::current(),
        };
        // Each of these only improves matters; a kernel built without one is no reason to stop. Miri
        // has none.
        #[cfg(all(target_os = "linux", not(miri)))]
        for advice in [
            Advice::LinuxHugepage,
            Advice::LinuxDontDump,
            Advice::LinuxDontFork,
        ] {
            mapping.advise(advice);
        }
        Ok(mapping)
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    fn advise(&self, advice: Advice) {
        // SAFETY: the range is exactly our own mapping; none of the advices used discards or
        // changes contents in this process.
        let result = unsafe { rustix::mm::madvise(self.base.as_ptr().cast(), self.length, advice) };
        if let Err(error) = result {
            tracing::debug!(?advice, %error, "the kernel ignores this advice for the arena");
        }
    }

    /// Returns the first byte. Valid for `length` bytes while `self` lives.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Returns the usable length in bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.process.is_inherited() {
            return;
        }
        // SAFETY: the range is what mmap gave, in this process, and whoever handed out pointers into it
        // (Pool) holds the mapping for as long as any of them is in use.
        let result = unsafe { rustix::mm::munmap(self.mapped.as_ptr(), self.mapped_length) };
        debug_assert!(result.is_ok(), "munmap of our own mapping");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_on_a_huge_page_when_it_is_long_enough() {
        let mapping = Mapping::new(HUGE_PAGE_SIZE + 1).expect("map");
        assert_eq!(mapping.base().as_ptr().addr() % HUGE_PAGE_SIZE, 0);
        assert!(mapping.length() > HUGE_PAGE_SIZE);
    }

    #[test]
    fn rounds_up_to_whole_pages() {
        let mapping = Mapping::new(1).expect("map");
        assert_eq!(mapping.length(), rustix::param::page_size());
        assert_eq!(
            mapping.base().as_ptr().addr() % rustix::param::page_size(),
            0
        );
    }

    #[test]
    fn refuses_what_no_machine_has() {
        assert!(Mapping::new(usize::MAX - 10).is_err());
    }
}
