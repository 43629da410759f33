//! Who may forbid io_uring: the sysctl, a seccomp filter.

use rustix::process::geteuid;

use super::kernel_files::{field, number, text};

#[derive(Debug)]
pub(super) struct Restrictions {
    /// `kernel.io_uring_disabled`; kernels before 6.6 have no such switch.
    pub(super) io_uring_disabled: Option<u32>,
    /// `kernel.io_uring_group`: whose members may use io_uring at 1; -1 is nobody.
    pub(super) io_uring_group: Option<i64>,
    /// 0 none, 1 strict, 2 filter.
    pub(super) seccomp_mode: Option<u32>,
    pub(super) seccomp_filters: Option<u32>,
    pub(super) no_new_privileges: Option<bool>,
    /// The user id that limits are counted by.
    pub(super) user: u32,
}

impl Restrictions {
    pub(super) fn look() -> Self {
        let status = text("/proc/self/status").unwrap_or_default();
        let number_of = |name| field(&status, name).and_then(|value| value.parse::<u32>().ok());
        Self {
            io_uring_disabled: number("/proc/sys/kernel/io_uring_disabled"),
            io_uring_group: number("/proc/sys/kernel/io_uring_group"),
            seccomp_mode: number_of("Seccomp"),
            seccomp_filters: number_of("Seccomp_filters"),
            no_new_privileges: number_of("NoNewPrivs").map(|value| value != 0),
            user: geteuid().as_raw(),
        }
    }

    pub(super) fn has_seccomp_filter(&self) -> bool {
        self.seccomp_mode == Some(2)
    }

    /// What the switch means.
    pub(super) fn io_uring_disabled_words(&self) -> &'static str {
        match self.io_uring_disabled {
            None => "the kernel has no such switch",
            Some(0) => "anybody may make a ring",
            Some(1) => "only CAP_SYS_ADMIN or a member of kernel.io_uring_group may make a ring",
            Some(_) => "nobody may make a ring",
        }
    }

    /// What the mode means.
    pub(super) fn seccomp_words(&self) -> &'static str {
        match self.seccomp_mode {
            None => "not told",
            Some(0) => "off",
            Some(1) => "strict",
            Some(_) => "filter",
        }
    }
}
