//! How many processors there are for this process, and what they can do.

use rustix::thread::sched_getaffinity;

use super::cpu_quota::{self, Quota};
use super::kernel_files::{field, text};

#[derive(Debug)]
pub(super) struct Processors {
    /// Those that run, as the kernel lists them: `0-3,8`.
    pub(super) online: Option<String>,
    /// Those that this process may run on, listed the same way.
    pub(super) allowed: Option<String>,
    pub(super) allowed_count: Option<u32>,
    pub(super) quota: Option<Quota>,
    /// What the ciphers here look for, and whether it is there.
    pub(super) features: Vec<(&'static str, bool)>,
}

impl Processors {
    pub(super) fn look() -> Self {
        let status = text("/proc/self/status").unwrap_or_default();
        Self {
            online: text("/sys/devices/system/cpu/online"),
            allowed: field(&status, "Cpus_allowed_list").map(str::to_owned),
            allowed_count: sched_getaffinity(None).ok().map(|set| set.count()),
            quota: cpu_quota::quota(),
            features: features(),
        }
    }

    pub(super) fn has(&self, feature: &str) -> bool {
        self.features.contains(&(feature, true))
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    macro_rules! look_for {
        ($($name:tt)*) => { vec![$(($name, std::arch::is_x86_feature_detected!($name))),*] };
    }
    look_for!("ssse3" "avx" "avx2" "bmi2" "avx512f" "avx512bw" "avx512dq" "avx512vl"
        "avx512ifma" "aes" "pclmulqdq" "vaes" "vpclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    macro_rules! look_for {
        ($($name:tt)*) => { vec![$(($name, std::arch::is_aarch64_feature_detected!($name))),*] };
    }
    look_for!("neon" "sve" "sve2" "sha2" "aes" "pmull")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}
