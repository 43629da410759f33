//! Which cores threads are kept on.

use core::str::FromStr;

use rustix::thread::CpuSet;

/// Which cores threads are kept on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pinning {
    /// The first that this process may use.
    First,
    /// These, in this order.
    Cores(Vec<usize>),
}

impl Pinning {
    /// What stands for the first ones.
    pub(crate) const AUTO: &str = "auto";
}

impl FromStr for Pinning {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::AUTO {
            return Ok(Self::First);
        }
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = core(first).zip(core(last));
            match range.filter(|(first, last)| first <= last) {
                Some((first, last)) => cores.extend(first..=last),
                None => {
                    return Err(format!(
                        "write numbers of cores below {}, as in 0,2-3, or nothing behind --pin for \
                         the first ones",
                        CpuSet::MAX_CPU
                    ));
                }
            }
        }
        Ok(Self::Cores(cores))
    }
}

fn core(text: &str) -> Option<usize> {
    let core = text.parse().ok();
    core.filter(|core| *core < CpuSet::MAX_CPU)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_and_ranges_are_read_and_anything_else_is_refused() {
        let cores = |text: &str| text.parse::<Pinning>();
        assert_eq!(cores("auto"), Ok(Pinning::First));
        assert_eq!(cores("3"), Ok(Pinning::Cores(vec![3])));
        assert_eq!(cores("4,0-2,7"), Ok(Pinning::Cores(vec![4, 0, 1, 2, 7])));
        for text in [
            "",
            "a",
            "1,",
            ",1",
            "2-1",
            "1-2-3",
            "-1",
            "0-9999999999",
            "1024",
        ] {
            let error = cores(text).expect_err(text);
            assert!(error.contains("as in 0,2-3"), "{error}");
        }
    }
}
