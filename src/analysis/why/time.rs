//! Times of objects and events as seconds, and lengths of time as people write them.
//!
//! There is no clock here: "now" is the newest time that the objects themselves hold.

/// Seconds since 1970 of an RFC 3339 time; fractions are dropped.
pub fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, byte)| bytes.get(*at) != Some(byte)) || !(1..=12).contains(&month) {
        return None;
    }
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes().first() {
        Some(b'Z' | b'z') => 0,
        Some(sign @ (b'+' | b'-')) => {
            let hours: i64 = zone.get(1..3)?.parse().ok()?;
            let minutes: i64 = zone.get(4..6)?.parse().ok()?;
            (hours * 3600 + minutes * 60) * if *sign == b'+' { 1 } else { -1 }
        }
        _ => return None,
    };
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// Days since 1970 of a date of the Gregorian calendar (Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `45 s`, `2 min 7 s`, `3 h 5 min`, `4 d 2 h`.
pub fn length(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let two = |big: i64, big_name: &str, small: i64, small_name: &str| match small {
        0 => format!("{big} {big_name}"),
        _ => format!("{big} {big_name} {small} {small_name}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// Seconds of a length as the kubelet writes it: `10s`, `2m40s`, `5m0s`, `1h2m`.
pub fn go_duration(text: &str) -> Option<i64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (value, tail) = rest.split_at(end);
        let value: f64 = value.parse().ok()?;
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        total += value
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = tail;
    }
    (!text.is_empty()).then_some(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_any_zone() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("2026-11-21T04:02:57Z"), Some(1_795_233_777));
        assert_eq!(parse("2026-11-21T04:02:57.123456Z"), Some(1_795_233_777));
        assert_eq!(parse("2026-11-21T05:02:57+01:00"), Some(1_795_233_777));
        for text in ["", "yesterday", "2026-11-21", "2026-13-01T00:00:00Z", "2026-11-21T04:02:57"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn lengths_read_as_written() {
        assert_eq!(length(127), "2 min 7 s");
        assert_eq!(length(7200), "2 h");
        assert_eq!(go_duration("2m40s"), Some(160));
        assert_eq!(go_duration("5m0s"), Some(300));
        assert_eq!(go_duration("soon"), None);
    }
}
