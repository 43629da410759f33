//! The small files in which the kernel tells about itself.

use std::fs;
use std::path::Path;
use std::str::FromStr;

/// What the file says, if it is there.
pub(super) fn text(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// The number that the file consists of.
pub(super) fn number<N: FromStr>(path: impl AsRef<Path>) -> Option<N> {
    text(path)?.parse().ok()
}

/// The numbers that the file consists of.
pub(super) fn numbers<const COUNT: usize>(path: impl AsRef<Path>) -> Option<[u64; COUNT]> {
    let text = text(path)?;
    let numbers: Option<Vec<u64>> = text
        .split_whitespace()
        .map(|word| word.parse().ok())
        .collect();
    numbers?.try_into().ok()
}

/// What follows `name` and a colon in a file of such lines.
pub(super) fn field<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// The word in brackets, which is how the kernel marks the choice that is in force.
pub(super) fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_choices_are_found() {
        let status = "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        assert_eq!(field(status, "Seccomp"), Some("2"));
        assert_eq!(field(status, "Seccomp_filters"), Some("1"));
        assert_eq!(field(status, "Sec"), None);
        assert_eq!(chosen("always [madvise] never"), Some("madvise"));
        assert_eq!(chosen("always"), None);
    }

    #[test]
    fn numbers_have_to_be_as_many_as_asked_for() {
        let file = "/proc/sys/net/ipv4/tcp_rmem";
        assert!(numbers::<3>(file).is_some());
        assert!(numbers::<2>(file).is_none());
        assert!(number::<u64>("/proc/no such file").is_none());
    }
}
