//! Of the sign-in form.

use std::time::Duration;

use crate::language::Language;

pub struct Words {
    pub title: &'static str,
    pub lead: &'static str,
    pub name: &'static str,
    pub password: &'static str,
    pub submit: &'static str,
    pub wrong: &'static str,
    /// `{wait}` is what [`Words::wait`] says.
    pub slow: &'static str,
    pub busy: &'static str,
    seconds: [&'static str; 2],
    minutes: [&'static str; 2],
}

impl Words {
    pub fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }

    /// `40 seconds`, `2 minutes`; rounded up, so that who waits as long is let try.
    pub fn wait(&self, wait: Duration) -> String {
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        let (count, names) =
            if seconds < 120 { (seconds, self.seconds) } else { (seconds.div_ceil(60), self.minutes) };
        format!("{count} {}", if count == 1 { names[0] } else { names[1] })
    }
}

const ENGLISH: Words = Words {
    title: "Sign in",
    lead: "See what became of a code.",
    name: "Name",
    password: "Password",
    submit: "Sign in",
    wrong: "Name or password is wrong.",
    slow: "There were too many wrong passwords for this name. The next try is possible in {wait}; until then no \
           password is looked at.",
    busy: "Too many people are signing in at this moment. Please try again in a few seconds.",
    seconds: ["second", "seconds"],
    minutes: ["minute", "minutes"],
};

const GERMAN: Words = Words {
    title: "Anmelden",
    lead: "Sehen Sie, was aus einem Code geworden ist.",
    name: "Name",
    password: "Passwort",
    submit: "Anmelden",
    wrong: "Name oder Passwort ist falsch.",
    slow: "Für diesen Namen gab es zu viele falsche Passwörter. Der nächste Versuch ist in {wait} möglich; bis dahin \
           wird kein Passwort geprüft.",
    busy: "Im Augenblick melden sich zu viele Personen an. Bitte versuchen Sie es in einigen Sekunden noch einmal.",
    seconds: ["Sekunde", "Sekunden"],
    minutes: ["Minute", "Minuten"],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_units_and_never_too_short() {
        let told = |millis| ENGLISH.wait(Duration::from_millis(millis));
        assert_eq!(
            [1, 1_000, 1_001, 119_000, 119_001, 900_000].map(told),
            ["1 second", "1 second", "2 seconds", "119 seconds", "2 minutes", "15 minutes"]
        );
        assert_eq!(GERMAN.wait(Duration::from_secs(300)), "5 Minuten");
    }
}
