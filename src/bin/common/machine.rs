//! What a figure was measured on.

use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity};
use serde_json::{Value, json};

/// The processor, the cores of it that this process may use, and the kernel.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name, as the kernel tells it.
    pub processor: String,
    /// The cores that this process may use.
    pub cores: Vec<usize>,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// The one that this process runs on.
    pub fn here() -> Self {
        let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = (information.lines())
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or(std::env::consts::ARCH, |(_, name)| name);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
        Self {
            processor: processor.trim().to_owned(),
            cores: cores(),
            kernel: kernel.as_deref().unwrap_or("unknown").trim().to_owned(),
        }
    }

    /// As a JSON object.
    pub fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "cores": self.cores.len(),
            "kernel": self.kernel,
        })
    }

    /// In a few words.
    pub fn text(&self) -> String {
        let plural = if self.cores.len() == 1 { "" } else { "s" };
        format!(
            "{} core{plural} of {}, Linux {}",
            self.cores.len(),
            self.processor,
            self.kernel
        )
    }
}

/// The cores that this process may use.
fn cores() -> Vec<usize> {
    let Ok(allowed) = sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect()
}
