//! A command needs only the secrets that it uses.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{KEY, Server, config, stderr, stdout, twotick};
use crate::world::{DONE, FAILED, NUMBER, text};

/// The configuration with all secrets except the master key in variables that may be missing.
fn by_environment(folder: &Path) -> String {
    let text = text(folder)
        .replace(
            &format!("api_keys = [\"{KEY}\"]"),
            "api_keys = [{ env = \"SHOP_KEY\" }, { env = \"NEXT_KEY\" }]",
        )
        .replace("access_token = \"test-access-token\"", "access_token = { env = \"TOKEN\" }")
        .replace("app_secrets = [\"test-app-secret-0123\"]", "app_secrets = [{ env = \"APP_SECRET\" }]")
        .replace("verify_token = \"verify-me\"", "verify_token = { env = \"VERIFY\" }")
        .replace("bearer = \"test-carrier-token\"", "bearer = { file = \"/nowhere/bearer\" }")
        .replace("report_secret = \"test-report-secret-0123\"", "report_secret = { env = \"REPORT\" }");
    let text = text.replace(
        "[channels.whatsapp]",
        "[[apps]]\nname = \"bank\"\napi_keys = [{ env = \"BANK_KEY\" }]\n[[console.users]]\nname = \"ada\"\n\
         role = \"viewer\"\npassword_hash = { env = \"ADA\" }\n[channels.whatsapp]",
    );
    assert_eq!(text.matches("{ env = ").count() + text.matches("/nowhere/").count(), 9, "{text}");
    text
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = twotick();
    command.arg("--config").arg(folder.join("config.toml")).args(arguments);
    command
}

fn outcome(output: &Output) -> String {
    format!("{:?}: {}{}", output.status.code(), stdout(output), stderr(output))
}

#[test]
fn a_command_needs_only_its_own_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(
        &config("127.0.0.1:0".parse().unwrap(), "http://127.0.0.1:9", folder.path()),
        folder.path(),
    );
    fs::write(folder.path().join("config.toml"), by_environment(folder.path())).unwrap();
    let url = server.url();
    let backup = folder.path().join("a.backup");
    let backup = backup.to_str().unwrap();
    // With a server: the API needs one key, the health check none.
    for (arguments, key) in [
        (&["send", NUMBER, "--url", &url][..], Some(("SHOP_KEY", KEY))),
        (&["send", "+12025550101", "--key", KEY, "--url", &url], None),
        (&["healthcheck", "--url", &url], None),
        (&["backup", backup], None),
        (&["export"], None),
        (&["erase", NUMBER], None),
    ] {
        let output = command(folder.path(), arguments).envs(key).output().unwrap();
        assert_eq!(output.status.code(), DONE, "{arguments:?} {}", outcome(&output));
    }
    server.signal("-TERM");
    assert!(server.ended().0.success());
    for arguments in [
        &["backup", backup][..],
        &["verify"],
        &["audit", "verify"],
        &["erase", NUMBER, "--now"],
        &["reindex"],
        &["export"],
    ] {
        let output = command(folder.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), DONE, "{arguments:?} {}", outcome(&output));
    }
    for (arguments, missing) in [
        (&["send", NUMBER, "--url", &url][..], &["SHOP_KEY"][..]),
        (
            &["serve"],
            &[
                "SHOP_KEY",
                "NEXT_KEY",
                "BANK_KEY",
                "ADA",
                "TOKEN",
                "APP_SECRET",
                "VERIFY",
                "REPORT",
                "/nowhere/bearer",
            ],
        ),
        (
            &["config", "check"],
            &[
                "SHOP_KEY",
                "NEXT_KEY",
                "BANK_KEY",
                "ADA",
                "TOKEN",
                "APP_SECRET",
                "VERIFY",
                "REPORT",
                "/nowhere/bearer",
            ],
        ),
    ] {
        let output = command(folder.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {}", outcome(&output));
        for name in missing {
            assert!(stderr(&output).contains(name), "{arguments:?} {name} {}", outcome(&output));
        }
        let others =
            ["NEXT_KEY", "TOKEN", "REPORT", "/nowhere"].iter().filter(|name| !missing.contains(name));
        if missing.len() == 1 {
            others.for_each(|name| assert!(!stderr(&output).contains(name), "{name} {}", outcome(&output)));
        }
    }
}

#[test]
fn the_doctor_reports_missing_secrets_and_continues() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), by_environment(folder.path())).unwrap();
    let output = command(folder.path(), &["doctor"]).output().unwrap();
    assert_eq!(output.status.code(), FAILED, "{}", outcome(&output));
    let told = stdout(&output);
    for name in [
        "SHOP_KEY",
        "NEXT_KEY",
        "BANK_KEY",
        "ADA",
        "TOKEN",
        "APP_SECRET",
        "VERIFY",
        "REPORT",
        "/nowhere/bearer",
    ] {
        let of_it =
            told.lines().filter(|line| line.starts_with("wrong  config: ") && line.contains(name)).count();
        assert_eq!(of_it, 1, "{name} in {told}");
    }
    for what in ["clock", "store", "channel whatsapp", "channel sms"] {
        assert!(told.contains(&format!("  {what}: ")), "{what} in {told}");
    }
    assert!(!told.contains("template login_code"), "Meta is not asked without a token: {told}");
    // The same holds for the master key.
    let text = by_environment(folder.path());
    let master = text.lines().find(|line| line.starts_with("master = ")).unwrap();
    fs::write(folder.path().join("config.toml"), text.replace(master, "master = { env = \"MASTER\" }"))
        .unwrap();
    let told = stdout(&command(folder.path(), &["doctor"]).output().unwrap());
    assert!(told.contains("wrong  config: ") && told.contains("variable MASTER is not set"), "{told}");
    assert!(told.contains("wrong  keys: the master key is missing"), "{told}");
    let output = command(folder.path(), &["verify"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", outcome(&output));
}
