//! What a figure was measured on.

use std::{fs, io};

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
        let processor = field(&information, "model name").unwrap_or(std::env::consts::ARCH);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
        Self {
            processor: processor.to_owned(),
            cores: allowed_cores().unwrap_or_default(),
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

/// Returns the cores that this process may use.
///
/// # Errors
///
/// What `sched_getaffinity(2)` says.
pub fn allowed_cores() -> io::Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect())
}

/// Returns what the kernel's list of processors says first by this name.
pub(crate) fn field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    cpuinfo.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}
