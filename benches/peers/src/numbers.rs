//! How numbers are written in tables.

/// Writes large numbers without a fraction and in groups of three digits.
pub(crate) fn grouped(value: f64) -> String {
    if value < 1000.0 {
        return format!("{value:.1}");
    }
    groups(&format!("{value:.0}"))
}

/// Writes a count in groups of three digits.
pub(crate) fn grouped_count(count: u64) -> String {
    groups(&count.to_string())
}

/// Writes a number of any size with about three digits.
pub(crate) fn short(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        grouped(value)
    }
}

fn groups(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Writes a rate in thousands, with three digits or more.
pub(crate) fn thousands(value: f64) -> String {
    let thousands = value / 1000.0;
    if thousands < 10.0 {
        format!("{thousands:.2} k")
    } else if thousands < 1000.0 {
        format!("{thousands:.1} k")
    } else {
        format!("{} k", grouped(thousands))
    }
}

/// Writes a ratio with three digits or so; in bold where it is below one.
pub(crate) fn ratio(value: f64) -> String {
    let text = if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    };
    // By what is written: 0.999 is no loss.
    if text.starts_with("0.") {
        format!("**{text}**")
    } else {
        text
    }
}

/// Writes a message size in the largest unit that has it whole.
pub(crate) fn bytes(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..1_048_576 => format!("{} KiB", size / 1024),
        _ => format!("{} MiB", size / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        let cases = [
            (0.25, "0.2"),
            (999.4, "999.4"),
            (1000.0, "1 000"),
            (65_432.1, "65 432"),
            (1_234_567.8, "1 234 568"),
        ];
        for (value, text) in cases {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn rates_ratios_and_sizes_have_the_digits_that_say_something() {
        assert_eq!(short(1.016), "1.02");
        assert_eq!(short(12.34), "12.3");
        assert_eq!(grouped_count(2_373_230), "2 373 230");
        assert_eq!(thousands(13_470_190.0), "13 470 k");
        assert_eq!(thousands(105_566.0), "105.6 k");
        assert_eq!(thousands(2_324.0), "2.32 k");
        assert_eq!(ratio(119.36), "119");
        assert_eq!(ratio(14.78), "14.8");
        assert_eq!(ratio(1.504), "1.50");
        assert_eq!(ratio(0.84), "**0.84**");
        assert_eq!(ratio(0.999), "1.00");
        assert_eq!(bytes(64), "64 B");
        assert_eq!(bytes(65_536), "64 KiB");
        assert_eq!(bytes(1 << 20), "1 MiB");
    }
}
