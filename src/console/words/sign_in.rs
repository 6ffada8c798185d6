//! The sign-in form.

use std::time::Duration;

words! {
    texts {
        title: "Sign in", "Anmelden";
        lead: "See what happened to a code.", "Sehen Sie, was aus einem Code geworden ist.";
        name: "Name", "Name";
        password: "Password", "Passwort";
        submit: "Sign in", "Anmelden";
        wrong: "Name or password is wrong.", "Name oder Passwort ist falsch.";
        /// `{wait}` is the result of [`Words::wait`].
        slow: "There were too many wrong passwords for this name. The next try is possible in {wait}; until then, no password is checked.", "Für diesen Namen gab es zu viele falsche Passwörter. Der nächste Versuch ist in {wait} möglich; bis dahin wird kein Passwort geprüft.";
        busy: "Too many people are signing in at this moment. Please try again in a few seconds.", "Im Augenblick melden sich zu viele Personen an. Bitte versuchen Sie es in einigen Sekunden noch einmal.";
    }
    match seconds(u128) {
        1 => "second", "Sekunde";
        _ => "seconds", "Sekunden";
    }
    match minutes(u128) {
        1 => "minute", "Minute";
        _ => "minutes", "Minuten";
    }
}

impl Words {
    /// `40 seconds`, `2 minutes`; rounded up, so that a try after that time is accepted.
    pub fn wait(&self, wait: Duration) -> String {
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        if seconds < 120 {
            return format!("{seconds} {}", self.seconds(seconds));
        }
        let minutes = seconds.div_ceil(60);
        format!("{minutes} {}", self.minutes(minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_shown_in_whole_units_and_never_too_short() {
        let shown = |millis| ENGLISH.wait(Duration::from_millis(millis));
        assert_eq!(
            [1, 1_000, 1_001, 119_000, 119_001, 900_000].map(shown),
            ["1 second", "1 second", "2 seconds", "119 seconds", "2 minutes", "15 minutes"]
        );
        assert_eq!(GERMAN.wait(Duration::from_secs(300)), "5 Minuten");
    }
}
