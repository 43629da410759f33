//! How many handshakes may begin, shared fairly by the sources that they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::net::Source;

/// A handshake in units of debt, of which as many as the rate says are paid each nanosecond.
const HANDSHAKE: u128 = 1_000_000_000;

/// How many handshakes may begin in a second.
///
/// Each that begins is a debt of its source. The rate pays debts off, in equal parts for all sources
/// that have some, and a second's worth of them may be open in all. A source that owes more than is
/// left has to wait, so that there is room for those who come new: half of all beside one source that
/// takes what it gets, a third beside two. Debts are forgotten when they are paid, so that no more than
/// about three times as many sources are known as handshakes may begin in a second.
#[derive(Debug)]
pub(super) struct HandshakeRate {
    /// Handshakes a second.
    rate: u128,
    /// What a source that has always owed something has been paid.
    paid: u128,
    paid_at: Option<Instant>,
    /// At which `paid` a source owes nothing.
    debts: BTreeMap<Source, u128>,
    /// The same in order.
    order: BTreeSet<(u128, Source)>,
    /// The sum of them.
    sum: u128,
}

impl HandshakeRate {
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate: rate.into(),
            paid: 0,
            paid_at: None,
            debts: BTreeMap::new(),
            order: BTreeSet::new(),
            sum: 0,
        }
    }

    /// Whether a handshake of `source` may begin now; if so, counts it.
    pub(super) fn begin(&mut self, source: Source, now: Instant) -> bool {
        self.pay(now);
        let open = self.sum - self.paid * self.order.len() as u128;
        let left = (self.rate * HANDSHAKE).saturating_sub(open);
        let debt = self.debts.get(&source).copied();
        let owes = debt.map_or(0, |debt| debt - self.paid);
        if left < HANDSHAKE || owes > left {
            return false;
        }
        if let Some(debt) = debt {
            self.forget(debt, source);
        }
        let debt = self.paid + owes + HANDSHAKE;
        self.debts.insert(source, debt);
        self.order.insert((debt, source));
        self.sum += debt;
        true
    }

    /// Pays for the time that has passed.
    fn pay(&mut self, now: Instant) {
        let since = self.paid_at.replace(now).unwrap_or(now);
        let mut time = now.saturating_duration_since(since).as_nanos();
        while let Some(&(debt, source)) = self.order.first() {
            let count = self.order.len() as u128;
            let for_each = time * self.rate / count;
            let owes = debt - self.paid;
            if for_each < owes {
                self.paid += for_each;
                return;
            }
            self.paid = debt;
            self.forget(debt, source);
            time = time.saturating_sub(owes * count / self.rate);
        }
    }

    fn forget(&mut self, debt: u128, source: Source) {
        self.debts.remove(&source);
        self.order.remove(&(debt, source));
        self.sum -= debt;
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    /// A rate that is asked at times since its start.
    struct Asked {
        rate: HandshakeRate,
        start: Instant,
    }

    impl Asked {
        fn new(rate: u32) -> Self {
            Self {
                rate: HandshakeRate::new(rate),
                start: Instant::now(),
            }
        }

        /// How many of `count` handshakes of this source begin at once.
        fn begun(&mut self, source: u32, count: usize, milliseconds: u64) -> usize {
            let now = self.start + Duration::from_millis(milliseconds);
            let source = Source::User(source);
            (0..count).filter(|_| self.rate.begin(source, now)).count()
        }
    }

    #[test]
    fn as_many_handshakes_begin_as_the_rate_says() {
        let mut asked = Asked::new(10);
        // Of many sources all that there may be, of one half and one.
        assert_eq!((0..50).map(|it| asked.begun(it, 1, 0)).sum::<usize>(), 10);
        assert_eq!(asked.begun(99, 50, 99), 0);
        assert_eq!(asked.begun(99, 50, 100), 1);
        assert_eq!(asked.begun(0, 50, 60_000), 6);
        assert_eq!(asked.begun(0, 50, 60_099), 0);
        // One that is alone has the whole rate all the same.
        let more = (1..=100).map(|step| asked.begun(0, 50, 60_000 + step * 100));
        assert_eq!(more.sum::<usize>(), 100 / 2 + 50);
        for rate in [1, 2] {
            let mut slow = Asked::new(rate);
            let all = usize::try_from(rate).expect("a few");
            assert_eq!(slow.begun(0, 50, 0), all);
            assert_eq!(slow.begun(0, 50, 1000), all);
        }
    }

    #[test]
    fn a_source_that_asks_all_the_time_leaves_room_for_others() {
        let mut asked = Asked::new(100);
        let (mut greedy, mut honest) = ([0; 2], 0);
        for millisecond in 0..10_000 {
            for (source, count) in greedy.iter_mut().enumerate() {
                *count += asked.begun(source.try_into().expect("a few"), 10, millisecond);
            }
            if millisecond % 100 == 99 {
                honest += asked.begun(7, 1, millisecond);
            }
        }
        assert_eq!(honest, 100, "all that came");
        // The rest is theirs, in equal parts.
        let all = 100 * 10 + 100;
        assert!(greedy[0].abs_diff(greedy[1]) <= 1, "{greedy:?}");
        assert!((all - 150..=all).contains(&(greedy[0] + greedy[1] + honest)));
    }

    #[test]
    fn nobody_is_remembered_who_owes_nothing() {
        let mut asked = Asked::new(1000);
        for source in 0..100_000 {
            asked.begun(source, 1, u64::from(source) / 100);
            assert!(asked.rate.debts.len() <= 3_000);
        }
        assert_eq!(asked.begun(7, 1, 1_000_000), 1);
        assert_eq!((asked.rate.debts.len(), asked.rate.order.len()), (1, 1));
        assert_eq!(asked.rate.sum, asked.rate.paid + HANDSHAKE);
    }
}
