//! A row of figures as it is read from JSON.

use serde_json::Value;

/// The figures of one contender in one work.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) work: String,
    /// Bytes of a message of a stream.
    pub(crate) size: Option<usize>,
    /// Messages that were given at a time.
    pub(crate) batch: Option<usize>,
    pub(crate) peer: String,
    /// How messages were given.
    pub(crate) call: Option<String>,
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Processor seconds for each gigabyte.
    pub(crate) processor: Option<f64>,
}

impl Measured {
    /// Reads all rows, or tells which one is not a row, or which field of it is wrong.
    pub(crate) fn all(figures: &Value) -> Result<Vec<Self>, String> {
        let rows = figures["rows"].as_array().ok_or("it has no rows")?;
        let read = |(index, row)| {
            Self::read(row).map_err(|field| format!("row {index} has no proper {field}"))
        };
        rows.iter().enumerate().map(read).collect()
    }

    fn read(row: &Value) -> Result<Self, &'static str> {
        let text = |name: &'static str| row[name].as_str().map(str::to_owned).ok_or(name);
        let number = |name: &'static str| row[name].as_f64().ok_or(name);
        let count = |name: &str| row[name].as_u64().and_then(|count| count.try_into().ok());
        Ok(Self {
            work: text("work")?,
            size: count("size"),
            batch: count("batch"),
            peer: text("peer")?,
            call: row["call"].as_str().map(str::to_owned),
            median: number("median")?,
            least: number("min")?,
            most: number("max")?,
            processor: row["cpu_seconds_per_gigabyte"].as_f64(),
        })
    }
}
