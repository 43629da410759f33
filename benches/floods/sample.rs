//! The middle of several samples, and how far they are apart.

use std::fmt;

/// Samples of one figure.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn add(&mut self, sample: f64) {
        self.0.push(sample);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn extend(&mut self, samples: &[f64]) {
        self.0.extend(samples);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the middle one, or nothing that is a number where there are none.
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn greatest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

/// The median, with the least and the greatest.
impl fmt::Display for Samples {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, least, greatest) = (self.median(), self.least(), self.greatest());
        let digits = match median {
            ..10.0 => 2,
            ..100.0 => 1,
            _ => 0,
        };
        write!(
            formatter,
            "{median:.digits$} ({least:.digits$} to {greatest:.digits$})"
        )
    }
}
