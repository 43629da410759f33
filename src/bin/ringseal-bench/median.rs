//! The middle one of some numbers.

use core::fmt;

use serde_json::{Value, json};

/// The middle one of some numbers, with the least and the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Median {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Median {
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        let upper = *numbers.get(middle)?;
        let median = if numbers.len() % 2 == 1 {
            upper
        } else {
            f64::midpoint(numbers[middle - 1], upper)
        };
        Some(Self {
            median,
            least: numbers[0],
            most: numbers[numbers.len() - 1],
        })
    }

    pub(crate) fn json(self) -> Value {
        json!({ "median": self.median, "least": self.least, "most": self.most })
    }
}

impl fmt::Display for Median {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            median,
            least,
            most,
        } = self;
        let digits = formatter.precision().unwrap_or(2);
        write!(
            formatter,
            "{median:.digits$} ({least:.digits$} to {most:.digits$})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        let median = |numbers: &[f64]| Median::of(numbers.iter().copied());
        assert_eq!(median(&[]), None);
        let three = median(&[3.0, 1.0, 2.0]).expect("three");
        assert_eq!((three.median, three.least, three.most), (2.0, 1.0, 3.0));
        assert_eq!(format!("{three:.1}"), "2.0 (1.0 to 3.0)");
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]).expect("four").median, 2.5);
    }
}
