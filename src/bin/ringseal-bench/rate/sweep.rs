//! Which rates a sweep tries: each twice the one before until one is too much, and then some between
//! the last that was reached and the first that was not.

/// Where it begins.
const FIRST: u64 = 1_000;
/// By what the next rate is more, or less where the first one is too much.
const FACTOR: u64 = 2;
/// No machine sends more.
const LAST: u64 = 100_000_000;
/// How often the gap between what is reached and what is not is halved, by ratio.
const HALVINGS: u32 = 2;
/// Digits of a rate in between that say something.
const DIGITS: u32 = 2;

/// A sweep that goes on.
#[derive(Debug)]
pub(crate) struct Sweep {
    next: Option<u64>,
    reached: Option<u64>,
    too_much: Option<u64>,
    halvings: u32,
}

impl Sweep {
    pub(crate) fn new() -> Self {
        Self {
            next: Some(FIRST),
            reached: None,
            too_much: None,
            halvings: 0,
        }
    }

    /// The rate to be tried; `None` at the end.
    pub(crate) fn next(&self) -> Option<u64> {
        self.next
    }

    /// Notes whether that rate was kept up with.
    pub(crate) fn tell(&mut self, keeps_up: bool) {
        let place = if keeps_up {
            &mut self.reached
        } else {
            &mut self.too_much
        };
        *place = self.next;
        self.next = match (self.reached, self.too_much) {
            (Some(reached), None) => Some(reached * FACTOR).filter(|rate| *rate <= LAST),
            (None, Some(too_much)) => Some(too_much / FACTOR).filter(|rate| *rate > 0),
            (Some(reached), Some(too_much)) if self.halvings < HALVINGS => {
                self.halvings += 1;
                let middle = rounded((reached * too_much).isqrt());
                (reached < middle && middle < too_much).then_some(middle)
            }
            _ => None,
        };
    }
}

/// Without the digits that say nothing.
fn rounded(rate: u64) -> u64 {
    let digits = rate.checked_ilog10().map_or(1, |power| power + 1);
    let unit = 10_u64.pow(digits.saturating_sub(DIGITS));
    (rate + unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates that are tried where all above `limit` are too much.
    fn tried(limit: u64) -> Vec<u64> {
        let mut sweep = Sweep::new();
        let mut tried = Vec::new();
        while let Some(rate) = sweep.next() {
            tried.push(rate);
            sweep.tell(rate <= limit);
        }
        tried
    }

    #[test]
    fn rates_go_up_until_one_is_too_much_and_then_close_in_on_it() {
        assert_eq!(
            tried(3_000),
            [1_000, 2_000, 4_000, 2_800, 3_300],
            "twice, and between"
        );
        assert_eq!(
            tried(5_000_000).last_chunk(),
            Some(&[4_096_000, 8_192_000, 5_800_000, 4_900_000])
        );
    }

    #[test]
    fn where_the_first_is_too_much_rates_go_down() {
        assert_eq!(tried(130), [1_000, 500, 250, 125, 180, 150]);
        assert_eq!(tried(0), [1_000, 500, 250, 125, 62, 31, 15, 7, 3, 1]);
    }

    #[test]
    fn a_sweep_ends_where_nothing_is_too_much() {
        let all = tried(u64::MAX);
        assert!(all.is_sorted() && all.last().is_some_and(|last| *last <= LAST));
    }
}
