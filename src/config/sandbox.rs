//! A configuration for `twotick sandbox`, derived from the commented default.

use super::DEFAULT_FILE;

/// Default secret that signs the sandbox's Meta webhooks.
pub const APP_SECRET: &str = "sandbox-app-secret";
/// Default secret that signs the carrier's reports.
pub const REPORT_SECRET: &str = "sandbox-report-secret";
/// Default URL of the sandbox.
pub const URL: &str = "http://127.0.0.1:8090";
/// API key of the only app. The sandbox accepts every token, and nothing checks the verify token.
pub const API_KEY: &str = "sandbox-api-key-0123456789";
pub const ACCESS_TOKEN: &str = "sandbox-access-token";
pub const VERIFY_TOKEN: &str = "sandbox-verify-token";
pub const SMS_TOKEN: &str = "sandbox-sms-token";

const HEAD: &str = "\
# Configuration of twotick for `twotick sandbox`: stand-ins for Meta, a carrier and the phones on this machine.
#
#   twotick sandbox     in one terminal
#   twotick serve       in another, beside this file
#
# Before you send to real phones, start over with `twotick config init`: the secrets here are public.
#
";

/// Changed lines: the default's line, and its replacement.
const CHANGES: [(&str, &str); 8] = [
    ("api_keys = [{ env = \"TWOTICK_SHOP_KEY\" }]", "api_keys = [\"{api_key}\"]"),
    ("graph_url = \"https://graph.facebook.com\"", "graph_url = \"{url}\""),
    ("access_token = { env = \"WHATSAPP_ACCESS_TOKEN\" }", "access_token = \"{access_token}\""),
    ("app_secrets = [{ env = \"META_APP_SECRET\" }]", "app_secrets = [\"{app_secret}\"]"),
    ("verify_token = { env = \"META_VERIFY_TOKEN\" }", "verify_token = \"{verify_token}\""),
    ("url = \"https://sms.example.com/send\"", "url = \"{url}/sms/send\""),
    ("bearer = { env = \"SMS_TOKEN\" }", "bearer = \"{sms_token}\""),
    ("report_secret = { env = \"SMS_REPORT_SECRET\" }", "report_secret = \"{report_secret}\""),
];

/// The configuration file.
pub fn sandbox_file() -> String {
    let values = [
        ("{api_key}", API_KEY),
        ("{url}", URL),
        ("{access_token}", ACCESS_TOKEN),
        ("{app_secret}", APP_SECRET),
        ("{verify_token}", VERIFY_TOKEN),
        ("{sms_token}", SMS_TOKEN),
        ("{report_secret}", REPORT_SECRET),
    ];
    let mut text = HEAD.to_owned();
    for line in DEFAULT_FILE.lines() {
        let changed = CHANGES.iter().find(|(from, _)| *from == line).map(|(_, to)| *to);
        let line = values.iter().fold(changed.unwrap_or(line).to_owned(), |line, (name, value)| {
            if changed.is_some() { line.replace(name, value) } else { line }
        });
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    #[test]
    fn the_file_needs_nothing_from_the_environment() {
        let text = sandbox_file();
        for (from, to) in CHANGES {
            let count = DEFAULT_FILE.lines().filter(|line| *line == from).count();
            assert_eq!(count, 1, "config.toml says `{from}` once; it becomes `{to}`");
            assert!(!text.lines().any(|line| line == from), "{from}");
        }
        let config =
            Config::parse(&text, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.channels["whatsapp"].kind.address(), URL);
        assert_eq!(config.channels["sms"].kind.address(), format!("{URL}/sms/send"));
    }
}
