//! Connecting to one of several addresses (RFC 8305): an address that never answers costs a
//! moment, and one that fails costs none.

use core::fmt;
use core::time::Duration;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::driver::{self, DriverState, Endpoint};

/// How long an attempt may take before the next address is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to the first of `candidates` that takes us, and closes what was begun with others.
///
/// # Errors
///
/// What the system says of the only candidate, or of each.
pub(crate) async fn connect(
    ring: &Rc<DriverState>,
    candidates: Vec<Endpoint>,
) -> io::Result<(OwnedFd, Endpoint)> {
    let mut waiting = interleave(candidates).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failures = Failures::default();
    loop {
        if let Some(candidate) = waiting.next() {
            attempts.push(attempt(ring, candidate));
        }
        let next = attempts.next();
        let ended = match waiting.len() {
            0 => next.await,
            _ => match driver::timeout(STAGGER, next).await {
                Some(ended) => ended,
                None => continue,
            },
        };
        match ended {
            Some((candidate, Ok(descriptor))) => return Ok((descriptor, candidate)),
            Some((candidate, Err(error))) => failures.0.push((candidate, error)),
            None => return Err(failures.into()),
        }
    }
}

async fn attempt(ring: &Rc<DriverState>, candidate: Endpoint) -> (Endpoint, io::Result<OwnedFd>) {
    let outcome = driver::connect(ring, &candidate).await;
    (candidate, outcome)
}

/// Has the families take turns, the first one's first, and leaves each in its order.
fn interleave(candidates: Vec<Endpoint>) -> Vec<Endpoint> {
    let family = candidates.first().map(Endpoint::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|candidate| Some(candidate.is_ipv6()) == family);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let turn = [first.next(), second.next()];
        if turn.iter().all(Option::is_none) {
            return ordered;
        }
        ordered.extend(turn.into_iter().flatten());
    }
}

/// Why each candidate failed.
#[derive(Debug, Default)]
struct Failures(Vec<(Endpoint, io::Error)>);

impl From<Failures> for io::Error {
    fn from(mut failures: Failures) -> Self {
        match failures.0.len() {
            0 => Self::new(io::ErrorKind::NotFound, "it stands for no address"),
            1 => failures.0.remove(0).1,
            _ => Self::new(failures.0[0].1.kind(), failures),
        }
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (candidate, error)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{candidate}: {error}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Failures {}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(text: &[&str]) -> Vec<Endpoint> {
        let parse = |text: &&str| Endpoint::Internet(text.parse().expect("an address"));
        text.iter().map(parse).collect()
    }

    #[test]
    fn the_families_take_turns_from_the_first_on() {
        for (given, tried) in [
            (
                &[
                    "[::1]:1",
                    "[::2]:1",
                    "[::3]:1",
                    "127.0.0.1:1",
                    "127.0.0.2:1",
                ][..],
                &[
                    "[::1]:1",
                    "127.0.0.1:1",
                    "[::2]:1",
                    "127.0.0.2:1",
                    "[::3]:1",
                ][..],
            ),
            (
                &["127.0.0.1:1", "127.0.0.2:1", "[::1]:1"],
                &["127.0.0.1:1", "[::1]:1", "127.0.0.2:1"],
            ),
            (&["127.0.0.1:1"], &["127.0.0.1:1"]),
            (&[], &[]),
        ] {
            assert_eq!(interleave(endpoints(given)), endpoints(tried));
        }
    }

    #[test]
    fn the_error_tells_of_each_address() {
        let refused = || io::Error::from(rustix::io::Errno::CONNREFUSED);
        let one = endpoints(&["127.0.0.1:1"]);
        let error = io::Error::from(Failures(
            one.into_iter().map(|it| (it, refused())).collect(),
        ));
        assert_eq!(error.raw_os_error(), refused().raw_os_error());
        let two = endpoints(&["127.0.0.1:1", "[::1]:1"]);
        let error = io::Error::from(Failures(
            two.into_iter().map(|it| (it, refused())).collect(),
        ));
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        let cause = refused();
        assert_eq!(text, format!("127.0.0.1:1: {cause}; [::1]:1: {cause}"));
        let none = io::Error::from(Failures::default());
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
    }
}
