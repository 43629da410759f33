//! How much processor time the control groups above this process leave it, in both of their
//! versions.

use std::path::{Component, Path, PathBuf};

use super::kernel_files::text;

/// The tightest of the quotas that apply.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quota {
    /// Processors' worth of time.
    pub(super) processors: f64,
    /// The directory of the control group that says so.
    pub(super) group: PathBuf,
}

/// Returns the quota of this process, if there is one that can be seen from here.
pub(super) fn quota() -> Option<Quota> {
    quota_below(Path::new("/"))
}

/// As [`quota`], with the file system's root at `root`.
fn quota_below(root: &Path) -> Option<Quota> {
    let mounts = text(root.join("proc/self/mountinfo"))?;
    let groups = text(root.join("proc/self/cgroup"))?;
    mounts
        .lines()
        .filter_map(Mount::parse)
        .filter_map(|mount| {
            let group = mount.group(&groups)?;
            let top = root.join(mount.point.strip_prefix("/").ok()?);
            tightest(&top, &group, mount.version)
        })
        .min_by(|one, other| one.processors.total_cmp(&other.processors))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Where a hierarchy of control groups can be seen.
struct Mount<'text> {
    version: Version,
    /// The group that is shown at `point`.
    shown: &'text Path,
    point: &'text Path,
}

impl<'text> Mount<'text> {
    /// Reads a line of `mountinfo`, if it is of a hierarchy that limits processor time.
    fn parse(line: &'text str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut words = mount.split(' ').skip(3);
        let (shown, point) = (words.next()?.as_ref(), words.next()?.as_ref());
        let mut words = file_system.split(' ');
        let version = match words.next()? {
            "cgroup2" => Version::Two,
            "cgroup" if words.nth(1)?.split(',').any(|option| option == "cpu") => Version::One,
            _ => return None,
        };
        Some(Self {
            version,
            shown,
            point,
        })
    }

    /// Returns our group below `point`, from the lines of `/proc/self/cgroup`.
    fn group(&self, groups: &str) -> Option<PathBuf> {
        let path = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let is_ours = match self.version {
                Version::Two => number == "0" && controllers.is_empty(),
                Version::One => controllers.split(',').any(|name| name == "cpu"),
            };
            is_ours.then_some(Path::new(path))
        })?;
        // In a container the path may be one that can't be seen from inside: what is shown at the
        // mount is then all there is.
        let below = path
            .strip_prefix(self.shown)
            .unwrap_or_else(|_| Path::new(""));
        let is_plain = below
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        Some(if is_plain { below } else { Path::new("") }.to_owned())
    }
}

/// The tightest quota from `group` up to `top`.
fn tightest(top: &Path, group: &Path, version: Version) -> Option<Quota> {
    group
        .ancestors()
        .filter_map(|ancestor| {
            let group = top.join(ancestor);
            let processors = match version {
                Version::One => quota_of_version_1(&group),
                Version::Two => quota_of_version_2(&group),
            }?;
            Some(Quota { processors, group })
        })
        .min_by(|one, other| one.processors.total_cmp(&other.processors))
}

fn quota_of_version_2(group: &Path) -> Option<f64> {
    let text = text(group.join("cpu.max"))?;
    let (quota, period) = text.split_once(' ')?;
    ratio(quota, period)
}

fn quota_of_version_1(group: &Path) -> Option<f64> {
    ratio(
        &text(group.join("cpu.cfs_quota_us"))?,
        &text(group.join("cpu.cfs_period_us"))?,
    )
}

/// Without a limit the quota is `max` or negative.
fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("its directories");
            fs::write(path, text).expect("a file");
        }
        root
    }

    fn processors(files: &[(&str, &str)]) -> Option<f64> {
        quota_below(tree(files).path()).map(|quota| quota.processors)
    }

    const VERSION_2: &str = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    const VERSION_1: &str = "23 1 0:2 / / rw - ext4 /dev/vda rw\n\
        32 31 0:29 /docker/abc /sys/fs/cgroup/cpu rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n\
        33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

    #[test]
    fn the_tightest_group_of_version_2_counts() {
        let files = [
            ("proc/self/mountinfo", VERSION_2),
            ("proc/self/cgroup", "0::/a.slice/b.service\n"),
            ("sys/fs/cgroup/a.slice/cpu.max", "50000 100000\n"),
            ("sys/fs/cgroup/a.slice/b.service/cpu.max", "200000 100000\n"),
        ];
        let root = tree(&files);
        let quota = quota_below(root.path()).expect("a quota");
        assert_eq!(quota.processors, 0.5);
        assert!(quota.group.ends_with("sys/fs/cgroup/a.slice"));
    }

    #[test]
    fn max_is_no_quota() {
        let files = [
            ("proc/self/mountinfo", VERSION_2),
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/cpu.max", "max 100000\n"),
        ];
        assert_eq!(processors(&files), None);
    }

    #[test]
    fn a_group_outside_the_namespace_is_that_of_the_mount() {
        let files = [
            ("proc/self/mountinfo", VERSION_2),
            ("proc/self/cgroup", "0::/../../elsewhere\n"),
            ("sys/fs/cgroup/cpu.max", "150000 100000\n"),
        ];
        assert_eq!(processors(&files), Some(1.5));
    }

    #[test]
    fn version_1_is_read_below_what_a_container_shows() {
        let groups = "4:memory:/docker/abc\n3:cpuacct,cpu:/docker/abc/worker\n0::/\n";
        let quota = |period_of_worker| {
            processors(&[
                ("proc/self/mountinfo", VERSION_1),
                ("proc/self/cgroup", groups),
                ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
                ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
                ("sys/fs/cgroup/cpu/worker/cpu.cfs_quota_us", "25000\n"),
                (
                    "sys/fs/cgroup/cpu/worker/cpu.cfs_period_us",
                    period_of_worker,
                ),
            ])
        };
        assert_eq!(quota("100000\n"), Some(0.25));
        assert_eq!(quota("0\n"), None);
    }

    #[test]
    fn without_files_there_is_no_quota() {
        assert_eq!(processors(&[]), None);
    }
}
