//! Any text as a configuration file, with an environment full of secrets. It is either accepted, or each problem is a
//! printable line without secrets. Parsing an accepted file again succeeds, and its `Debug` shows no secrets.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use secrecy::ExposeSecret;
use twotick::config::{Config, Environment, MasterKey, Origin, Problem};

const CANARY: &str = "CANARY";

static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| {
    Environment::from_iter([
        ("MASTER", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        (
            "ADA_HASH",
            "$argon2id$v=19$m=19456,t=2,p=1$CANARYCANARYCANARYCANARY$CANARYCANARYCANARYCANARYCANARYCANARYCANARYA",
        ),
        ("SHOP_KEY", "CANARY-shop-key-1234"),
        ("ACCESS_TOKEN", "CANARY-access-token"),
        ("APP_SECRET", "CANARY-app-secret-1234"),
        ("VERIFY_TOKEN", "CANARY-verify"),
        ("SMS_TOKEN", "CANARY-sms-token"),
        ("REPORT_SECRET", "CANARY-report-secret"),
    ])
});

fuzz_target!(|text: &str| -> Corpus {
    // Secrets may be read from files, and some special files never end.
    if text.contains("file")
        && ["/dev", "/proc", "/sys", "/run", "\\"].iter().any(|place| text.contains(place))
    {
        return Corpus::Reject;
    }
    match Config::parse(text, &ENVIRONMENT) {
        Ok(config) => {
            let quoted = text.contains(CANARY);
            assert!(quoted || !format!("{config:?}").contains(CANARY), "Debug shows a secret");
            check(&config);
            assert!(Config::parse(text, &ENVIRONMENT).is_ok(), "it is taken once and not twice");
        }
        Err(problems) => {
            assert!(problems.iter().next().is_some(), "it is refused without a reason");
            let lines = text.split('\n').count();
            problems.iter().for_each(|problem| check_problem(problem, text, lines));
        }
    }
    Corpus::Keep
});

/// The guarantees that the documentation of [`Config`] gives and the server relies on.
fn check(config: &Config) {
    assert!(!config.apps.is_empty() && !config.channels.is_empty() && !config.profiles.is_empty());
    assert!(!config.server.public_url.ends_with('/'));
    if let MasterKey::Inline(key) = &config.keys.master {
        assert!(MasterKey::decode(key.expose_secret()).is_some());
    }
    for app in &config.apps {
        assert!((1..=16).contains(&app.api_keys.len()));
        assert!(app.api_keys.iter().all(|key| key.expose_secret().len() >= 16));
    }
    for name in config.channels.keys() {
        assert!((1..=32).contains(&name.len()));
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
        );
    }
    for profile in config.profiles.values() {
        assert!((6..=10).contains(&profile.code_length) && (1..=10).contains(&profile.max_checks));
        assert!((30..=600).contains(&profile.code_ttl.as_secs()) && profile.resend_after.len() <= 10);
        assert!((1..=8).contains(&profile.steps.len()));
        let (last, others) = profile.steps.split_last().expect("there is at least one");
        assert!(last.deliver_within.is_none() && others.iter().all(|step| step.deliver_within.is_some()));
        let waits: std::time::Duration = others.iter().filter_map(|step| step.deliver_within).sum();
        assert!(waits <= profile.code_ttl);
        assert!(profile.steps.iter().all(|step| config.channels.contains_key(&step.channel)));
    }
}

fn check_problem(problem: &Problem, text: &str, lines: usize) {
    let shown = problem.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?} is not one line that can be printed");
    assert!(shown.len() < 8 * 1024, "{} bytes of one problem", shown.len());
    // Keys in the file may be quoted, values of environment variables never.
    assert!(text.contains(CANARY) || !shown.contains(CANARY), "{shown} quotes a secret");
    if let Origin::File { line: Some(line), .. } = &problem.origin {
        assert!((1..=lines).contains(line), "line {line} of {lines}");
    }
}
