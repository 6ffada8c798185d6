//! Durations for people.

use std::time::Duration;

use crate::language::Language;

/// Formats as `350 ms`, `4.2 s`, `2 min 5 s`, `3 h 20 min`, `5 d 2 h`; in German with a decimal comma.
pub fn span(length: Duration, language: Language) -> String {
    let (millis, seconds) = (length.as_millis(), length.as_secs());
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    let days = match language {
        Language::English => "d",
        Language::German => "T",
    };
    match seconds {
        0 if millis < 1_000 => format!("{millis} ms"),
        0..60 => {
            let tenths = (millis + 50) / 100;
            let (whole, tenth) = (tenths / 10, tenths % 10);
            match language {
                Language::English => format!("{whole}.{tenth} s"),
                Language::German => format!("{whole},{tenth} s"),
            }
        }
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        86_400.. => two(seconds / 86_400, days, seconds % 86_400 / 3_600, "h"),
    }
}

/// Formats the age of something in whole seconds or larger units.
pub fn ago(length: Duration, language: Language) -> String {
    match length.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => span(Duration::from_secs(seconds), language),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_formatted_in_suitable_units() {
        for (millis, english, german) in [
            (0, "0 ms", "0 ms"),
            (999, "999 ms", "999 ms"),
            (1_000, "1.0 s", "1,0 s"),
            (4_249, "4.2 s", "4,2 s"),
            (59_960, "60.0 s", "60,0 s"),
            (60_000, "1 min", "1 min"),
            (125_900, "2 min 5 s", "2 min 5 s"),
            (12_000_000, "3 h 20 min", "3 h 20 min"),
            (439_200_000, "5 d 2 h", "5 T 2 h"),
        ] {
            let length = Duration::from_millis(millis);
            let texts = (span(length, Language::English), span(length, Language::German));
            assert_eq!(texts, (english.to_owned(), german.to_owned()));
        }
        assert_eq!(ago(Duration::from_millis(25_900), Language::German), "25 s");
        assert_eq!(ago(Duration::from_millis(61_900), Language::German), "1 min 1 s");
    }
}
