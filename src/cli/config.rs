//! `twotick config check | show | init`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::{Cli, Exit, load_config, print};
use crate::config::sandbox::sandbox_file;
use crate::config::{DEFAULT_FILE, Loaded, Profile, Shown, StepContent};
use crate::texts::Cost;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check the configuration and print all problems. Exit code 2 if there are any
    Check,
    /// Print every effective value and its origin, with secrets as ***
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a commented configuration file
    Init {
        /// The file to write [default: the one of --config, else config.toml]
        path: Option<PathBuf>,
        /// Write a configuration that works with `twotick sandbox` unchanged
        #[arg(long)]
        sandbox: bool,
        /// Replace an existing file
        #[arg(long)]
        force: bool,
    },
}

pub(super) fn run(cli: &Cli, command: &Command) -> Exit {
    match command {
        Command::Check => with_config(cli, check),
        Command::Show { json: false } => with_config(cli, show),
        Command::Show { json: true } => with_config(cli, show_json),
        Command::Init { path, sandbox, force } => {
            let path = path.as_deref().or(cli.config.as_deref()).unwrap_or(Path::new("config.toml"));
            let existing = if *force { Existing::Replace } else { Existing::Keep };
            if *sandbox {
                let next = "next: `twotick sandbox` in one terminal, `twotick serve` in another";
                init(path, existing, &sandbox_file(), next)
            } else {
                init(path, existing, DEFAULT_FILE, "next: edit it, then `twotick config check`")
            }
        }
    }
}

fn with_config(cli: &Cli, report: impl Fn(&Loaded) -> String) -> Exit {
    match load_config(cli) {
        Ok(loaded) => print(&report(&loaded)),
        Err(exit) => exit,
    }
}

fn check(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut out = String::new();
    for warning in &loaded.warnings {
        line(&mut out, format_args!("warning  {warning}"));
    }
    line(&mut out, format_args!("ok  {}", file_name(loaded)));
    let server = &config.server;
    line(&mut out, format_args!("ok  server: API {}, admin {}", server.listen, server.admin_listen));
    let apps: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
    line(&mut out, format_args!("ok  apps: {}", apps.join(", ")));
    for (name, channel) in &config.channels {
        line(&mut out, format_args!("ok  channel {name}: {}", channel.kind.kind().as_str()));
    }
    for (name, profile) in &config.profiles {
        line(&mut out, format_args!("ok  profile {name}: {}", steps(profile)));
        for text in texts_of(profile) {
            let costs = config.texts.get(text).into_iter().flat_map(|text| profile.costs(text));
            for (locale, Cost { encoding, units, segments }) in costs {
                let parts =
                    if segments == 1 { "1 SMS".to_owned() } else { format!("{segments} SMS segments") };
                let encoding = encoding.as_str();
                line(&mut out, format_args!("ok    text {text} in {locale}: {parts}, {units} of {encoding}"));
            }
        }
    }
    let secrets = loaded.effective.iter().filter(|shown| shown.value == "***").count();
    line(&mut out, format_args!("ok  secrets: {secrets} found"));
    out
}

/// The texts that a profile sends, without duplicates.
fn texts_of(profile: &Profile) -> BTreeSet<&str> {
    let texts = profile.steps.iter().filter_map(|step| match &step.content {
        StepContent::Text(name) => Some(name.as_str()),
        StepContent::Template(_) | StepContent::ById => None,
    });
    texts.collect()
}

/// `whatsapp, after 30s sms`.
fn steps(profile: &Profile) -> String {
    let mut out = String::new();
    for step in &profile.steps {
        out.push_str(&step.channel);
        if let Some(within) = step.deliver_within {
            // Writing to a String cannot fail.
            let _ = write!(out, ", after {within:?} ");
        }
    }
    out
}

fn show(loaded: &Loaded) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("# {}", file_name(loaded)));
    for Shown { key, value, origin, secret_from } in &loaded.effective {
        match (value.as_str(), secret_from) {
            (Some("***"), Some(from)) => line(&mut out, format_args!("{key} = ***   # {origin} ({from})")),
            (Some("***"), None) => line(&mut out, format_args!("{key} = ***   # {origin}")),
            (Some(_) | None, _) => line(&mut out, format_args!("{key} = {value}   # {origin}")),
        }
    }
    out
}

fn show_json(loaded: &Loaded) -> String {
    let values = loaded.effective.iter().map(|shown| {
        let mut value = json!({
            "key": shown.key,
            "value": shown.value,
            "origin": shown.origin.to_string(),
        });
        if let Some(from) = &shown.secret_from {
            value["secret_from"] = json!(from);
        }
        value
    });
    let values: Vec<_> = values.collect();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let document = json!({ "file": loaded.file, "values": values, "warnings": warnings });
    format!("{document:#}\n")
}

fn file_name(loaded: &Loaded) -> String {
    match &loaded.file {
        Some(path) => path.display().to_string(),
        None => {
            "no configuration file, using the built-in default; `twotick config init` writes one".to_owned()
        }
    }
}

#[derive(Clone, Copy)]
enum Existing {
    Keep,
    Replace,
}

fn init(path: &Path, existing: Existing, text: &str, next: &str) -> Exit {
    let file = match existing {
        Existing::Keep => File::create_new(path),
        Existing::Replace => File::create(path),
    };
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => print(&format!("wrote {}; {next}\n", path.display())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            eprintln!("{} exists; --force replaces it", path.display());
            Exit::Failed
        }
        Err(error) => {
            eprintln!("cannot write {}: {error}", path.display());
            Exit::Failed
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}
