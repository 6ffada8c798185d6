//! The command line: arguments, dispatch and exit codes. One file per command.

mod audit;
mod check;
mod client;
mod completions;
mod config;
mod demo;
mod doctor;
mod dump;
mod erase;
mod explain;
mod follow;
mod healthcheck;
mod input;
mod logging;
mod man;
mod number;
mod reindex;
mod sandbox;
mod send;
mod serve;
mod signals;
mod status;
mod tail;
mod timeline;
mod user;
mod verify;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{Config, Environment, Loaded, Needs, Problem, Problems, Source, secrets};

/// Sends one-time passcodes by WhatsApp, falls back to SMS when a code is not delivered in time, and records every
/// step.
#[derive(Debug, Parser)]
#[command(name = "twotick", version, after_help = ABOUT_ALL)]
pub struct Cli {
    /// Configuration file [default: $TWOTICK_CONFIG, ./config.toml, /etc/twotick/config.toml]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,

    /// Set a configuration key, such as --set server.listen=127.0.0.1:9000. Overrides file and environment. Do not set
    /// secrets this way: other users of this machine can read them
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,

    #[command(subcommand)]
    command: Option<Command>,
}

/// Shown below the help of every command.
const ABOUT_ALL: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration
  3  the server does not answer

Environment:
  TWOTICK_CONFIG    configuration file
  TWOTICK_URL       address of the server, for send, check, status, timeline and tail
  TWOTICK_API_KEY   API key, for the same commands
  TWOTICK_LOG       what is logged: error, warn, info (default), debug, or a filter
                    such as info,twotick::courier=debug
  TWOTICK__A__B     sets the key a.b of the configuration
  NO_COLOR          no colours

Results go to stdout, logs and progress to stderr.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default command)
    Serve(serve::Args),
    /// Try twotick: server, stand-in providers and phones in one process. Sends nothing to the outside
    Demo(demo::Args),
    /// Run only the stand-ins for Meta, the SMS carrier and the phones, for tests
    Sandbox(sandbox::Args),
    /// Check, show or write the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Send a code to a number
    Send(send::Args),
    /// Check a code. Exit code 0 only if the code is accepted
    Check(check::Args),
    /// Show the state of a verification
    Status(status::Args),
    /// Show everything that happened to a verification
    Timeline(timeline::Args),
    /// Print all events of the app's verifications as they happen, until Ctrl-C
    Tail(tail::Args),
    /// Create password hashes for console users
    #[command(subcommand)]
    User(user::Command),
    /// Explain an error code: what it means, who has to act, how to fix it. Without a code, list all codes
    Explain(explain::Args),
    /// Rebuild the search indexes of the store. The server must be stopped
    Reindex,
    /// Check configuration, keys, clock, store, channels, templates and alarms. Exit code 1 if a check fails
    Doctor(doctor::Args),
    /// Erase all personal data of a number, whether or not the server is running
    Erase(erase::Args),
    /// Export the whole store as lines of JSON, without keys, whether or not the server is running
    Export(dump::ExportArgs),
    /// Import an export or a backup into an empty data folder, or resume an interrupted import. Sends nothing
    Import(dump::ImportArgs),
    /// Back up the store to a compressed file, without keys, whether or not the server is running
    Backup(dump::BackupArgs),
    /// Restore a backup or an export into an empty data folder, or resume an interrupted restore. Sends nothing
    Restore(dump::ImportArgs),
    /// Check that a store, a backup or an export is complete and unchanged
    Verify(verify::Args),
    /// Check the audit log of staff actions
    #[command(subcommand)]
    Audit(audit::Command),
    /// Print the completion script of a shell
    Completions(completions::Args),
    /// Print the manual page, or write one page per command
    Man(man::Args),
    /// Report whether the server is alive, for a container's health check
    #[command(hide = true)]
    Healthcheck(healthcheck::Args),
}

/// Exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    /// Wrong usage or configuration. Clap uses the same number.
    Usage = 2,
    /// The server did not answer.
    Unreachable = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Runs the command.
pub fn run(cli: &Cli) -> Exit {
    match &cli.command {
        None => serve::run(cli, &serve::Args::default()),
        Some(Command::Serve(args)) => serve::run(cli, args),
        Some(Command::Demo(args)) => demo::run(args),
        Some(Command::Sandbox(args)) => sandbox::run(args),
        Some(Command::Config(command)) => config::run(cli, command),
        Some(Command::Send(args)) => send::run(cli, args),
        Some(Command::Check(args)) => check::run(cli, args),
        Some(Command::Status(args)) => status::run(cli, args),
        Some(Command::Timeline(args)) => timeline::run(cli, args),
        Some(Command::Tail(args)) => tail::run(cli, args),
        Some(Command::User(command)) => user::run(command),
        Some(Command::Explain(args)) => explain::run(args),
        Some(Command::Reindex) => reindex::run(cli),
        Some(Command::Doctor(args)) => doctor::run(cli, args),
        Some(Command::Erase(args)) => erase::run(cli, args),
        Some(Command::Export(args)) => dump::export(cli, args),
        Some(Command::Import(args)) => dump::import(cli, args, &dump::IMPORT),
        Some(Command::Backup(args)) => dump::backup(cli, args),
        Some(Command::Restore(args)) => dump::import(cli, args, &dump::RESTORE),
        Some(Command::Verify(args)) => verify::run(cli, args),
        Some(Command::Audit(command)) => audit::run(cli, command),
        Some(Command::Completions(args)) => completions::run(args),
        Some(Command::Man(args)) => man::run(args),
        Some(Command::Healthcheck(args)) => healthcheck::run(cli, args),
    }
}

/// The only secret that the commands on stored data need.
const MASTER_KEY: &str = "keys.master";

/// Loads the configuration from flags, environment and file, with all secrets. Prints the problems to stderr if it
/// cannot.
fn load_config(cli: &Cli) -> Result<Loaded, Exit> {
    load(cli, Needs::Every)
}

/// As [`load_config`], for a command that uses only `secrets`; other secrets may be missing.
fn load_config_for(cli: &Cli, secrets: &'static [&'static str]) -> Result<Loaded, Exit> {
    load(cli, Needs::Only(secrets))
}

fn load(cli: &Cli, needs: Needs) -> Result<Loaded, Exit> {
    ConfigPlace::of(cli)?.read(needs).map_err(|problems| {
        let other = cli.config.as_deref().and_then(input::Input::other_than_configuration);
        if let Some(other) = other {
            eprintln!("no configuration: {other}");
            return Exit::Usage;
        }
        eprintln!("{problems}");
        let built_in = |problem: &Problem| matches!(problem.origin, crate::config::Origin::BuiltIn { .. });
        if problems.iter().any(built_in) {
            eprintln!("no configuration file found; `twotick config init` writes one");
        }
        Exit::Usage
    })
}

/// The sources of the configuration. They can be read again, for a reload.
#[derive(Clone)]
struct ConfigPlace {
    file: Option<PathBuf>,
    overrides: Vec<(String, String)>,
}

impl ConfigPlace {
    fn of(cli: &Cli) -> Result<Self, Exit> {
        let mut overrides = Vec::new();
        for setting in &cli.set {
            let Some((key, value)) = setting.split_once('=') else {
                eprintln!("--set needs KEY=VALUE, such as --set server.listen=127.0.0.1:9000");
                return Err(Exit::Usage);
            };
            overrides.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self { file: cli.config.clone(), overrides })
    }

    /// Pins the configuration file: `found` is used if `--config` names none.
    fn staying_with(self, found: Option<PathBuf>) -> Self {
        Self { file: self.file.or(found), ..self }
    }

    fn read(&self, needs: Needs) -> Result<Loaded, Problems> {
        let environment = Environment::from_process();
        let (file, overrides) = (self.file.clone(), self.overrides.clone());
        Config::load_for(&Source { file, overrides, environment: &environment }, needs)
    }
}

/// Trims a secret from the command line or the environment. `name` is the flag or variable in the error on stderr.
fn secret(name: &str, given: &SecretString) -> Result<SecretString, Exit> {
    secrets::trimmed(given.expose_secret()).map(SecretString::from).map_err(|blank| {
        eprintln!("{name} {blank}");
        Exit::Usage
    })
}

/// Writes a result to stdout. A closed pipe, as in `… | head`, is not a failure.
fn print(text: &str) -> Exit {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            eprintln!("cannot write to stdout: {error}");
            Exit::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
