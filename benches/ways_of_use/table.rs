//! The table: medians with the least and the most, and ratios to the first way.

use crate::peer::Work;
use crate::way::{Sample, Way};

/// What stands above the rows.
pub(crate) const HEAD: &str = "\
| way of use | work | messages/s | ratio | allocations a message | allocated bytes a message |
|---|---|---|---|---|---|";

/// One way, doing one kind of work.
pub(crate) struct Row {
    work: Work,
    size: usize,
    way: Way,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    pub(crate) fn new(work: Work, size: usize, way: Way) -> Self {
        Self {
            work,
            size,
            way,
            samples: Vec::new(),
        }
    }

    /// Messages a second of the median, of the least and of the most.
    #[expect(clippy::cast_precision_loss, reason = "rates to be read by people")]
    fn rates(&self) -> (f64, f64, f64) {
        let rate = |sample: &Sample| sample.messages as f64 / sample.elapsed.as_secs_f64();
        let mut rates: Vec<f64> = self.samples.iter().map(rate).collect();
        rates.sort_by(f64::total_cmp);
        (rates[rates.len() / 2], rates[0], rates[rates.len() - 1])
    }

    /// What `count` is for each of the messages of all samples.
    #[expect(clippy::cast_precision_loss, reason = "a cost to be read by people")]
    fn a_message(&self, count: impl Fn(&Sample) -> u64) -> f64 {
        let messages: u64 = self.samples.iter().map(|sample| sample.messages).sum();
        self.samples.iter().map(count).sum::<u64>() as f64 / messages as f64
    }
}

/// The lines of one kind of work, the baseline first.
pub(crate) fn lines(rows: &[Row]) -> Vec<String> {
    let baseline = rows[0].rates().0;
    let line = |row: &Row| {
        let (median, least, most) = row.rates();
        let work = match row.work {
            Work::Take => "sends",
            Work::Give => "receives",
            Work::Echo => "round trips of",
        };
        format!(
            "| {} | {work} {} B | {median:.0} ({least:.0} to {most:.0}) | {:.2} | {:.3} | {:.1} |",
            row.way.name(row.work),
            row.size,
            median / baseline,
            row.a_message(|sample| sample.allocations.count),
            row.a_message(|sample| sample.allocations.bytes),
        )
    };
    rows.iter().map(line).collect()
}
