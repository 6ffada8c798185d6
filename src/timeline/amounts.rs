//! Durations for people.

use std::time::Duration;

use crate::language::Language;

/// Formats as `0.3 s`, `4 s`, `1.5 s`, `45 s`, `2 min 5 s`, `1 h 5 min`; in German with a decimal comma.
pub(super) fn seconds(duration: Duration, language: Language) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    if tenths < 100 {
        // A positive duration is never shown as zero.
        let tenths = tenths.max(u128::from(!duration.is_zero()));
        return match (tenths % 10, language) {
            (0, Language::English | Language::German) => format!("{} s", tenths / 10),
            (rest, Language::English) => format!("{}.{rest} s", tenths / 10),
            (rest, Language::German) => format!("{},{rest} s", tenths / 10),
        };
    }
    let whole = (duration.as_millis() + 500) / 1_000;
    match (whole / 3_600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_readable_precision() {
        for (millis, english) in [
            (0, "0 s"),
            (1, "0.1 s"),
            (250, "0.3 s"),
            (960, "1 s"),
            (4_000, "4 s"),
            (4_321, "4.3 s"),
            (9_949, "9.9 s"),
            (9_950, "10 s"),
            (30_400, "30 s"),
            (59_600, "1 min"),
            (125_000, "2 min 5 s"),
            (3_600_000, "1 h"),
            (3_900_000, "1 h 5 min"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(seconds(duration, Language::English), english, "{millis}");
            assert_eq!(seconds(duration, Language::German), english.replace('.', ","), "{millis}");
        }
    }
}
