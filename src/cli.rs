//! The command line: what can be typed, and how a command ends. One file a command.

mod audit;
mod backup;
mod check;
mod client;
mod config;
mod demo;
mod doctor;
mod erase;
mod explain;
mod export;
mod healthcheck;
mod input;
mod logging;
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

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{Config, Environment, Loaded, Needs, Problem, Problems, Source, secrets};

/// Gets a one-time passcode to a person by WhatsApp, by SMS when that is not delivered in time, and knows
/// what became of it.
#[derive(Debug, Parser)]
#[command(name = "twotick", version)]
pub struct Cli {
    /// Configuration file [default: $TWOTICK_CONFIG, ./config.toml, /etc/twotick/config.toml]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,

    /// Set a key over file and environment, such as --set server.listen=127.0.0.1:9000. Others on this
    /// machine can read it: set no secret so
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server; also what happens without a command
    Serve(serve::Args),
    /// See it work: server, stand-in providers and phones in one process; nothing leaves this machine
    Demo(demo::Args),
    /// Run only the stand-in for Meta, the SMS carrier and the phones, for anybody's tests
    Sandbox(sandbox::Args),
    /// Check, show or write the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Send a code to a number
    Send(send::Args),
    /// Check a code that somebody typed
    Check(check::Args),
    /// Show how a verification stands
    Status(status::Args),
    /// Show everything that happened to a verification
    Timeline(timeline::Args),
    /// Follow what happens to all verifications of the app until ctrl-c
    Tail(tail::Args),
    /// Users of the console
    #[command(subcommand)]
    User(user::Command),
    /// Say what an error code means, who has to act, and how to fix it
    Explain(explain::Args),
    /// Make anew by what verifications and messages are found; the server must be stopped
    Reindex,
    /// Say whether everything a server needs is there and answers; exit code 1 if anything is wrong
    Doctor(doctor::Args),
    /// Forget everything of a number; while the server runs or not
    Erase(erase::Args),
    /// Write the whole store as lines of JSON, without keys; the server must be stopped
    Export(export::ExportArgs),
    /// Read an export into an empty data folder, or go on with one that stopped; nothing is sent
    Import(export::ImportArgs),
    /// Copy the store into a file, also of a server that runs, without keys
    Backup(backup::BackupArgs),
    /// Read a backup into an empty data folder, or go on with one that stopped; nothing is sent
    Restore(backup::RestoreArgs),
    /// Check a store, a backup or an export: that nothing is missing and nothing was changed
    Verify(backup::VerifyArgs),
    /// Check the log of what the staff did
    #[command(subcommand)]
    Audit(audit::Command),
    /// Say whether the server is alive, for a container's health check
    #[command(hide = true)]
    Healthcheck(healthcheck::Args),
}

/// How a command ended.
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

/// Carries out the command.
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
        Some(Command::Export(args)) => export::export(cli, args),
        Some(Command::Import(args)) => export::import(cli, args),
        Some(Command::Backup(args)) => backup::backup(cli, args),
        Some(Command::Restore(args)) => backup::restore(cli, args),
        Some(Command::Verify(args)) => backup::verify(cli, args),
        Some(Command::Audit(command)) => audit::run(cli, command),
        Some(Command::Healthcheck(args)) => healthcheck::run(cli, args),
    }
}

/// The secret that every command on the data uses.
const MASTER_KEY: &str = "keys.master";

/// The configuration that the flags, the environment and the file make, with every secret. Without one, says on stderr
/// what is wrong and how the command ends.
fn load_config(cli: &Cli) -> Result<Loaded, Exit> {
    load(cli, Needs::Every)
}

/// The same for a command that uses only these secrets: others may be missing.
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

/// Where a configuration is read from, as often as it is asked for.
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

    fn read(&self, needs: Needs) -> Result<Loaded, Problems> {
        let environment = Environment::from_process();
        let (file, overrides) = (self.file.clone(), self.overrides.clone());
        Config::load_for(&Source { file, overrides, environment: &environment }, needs)
    }
}

/// A secret from the command line or its variable, which `name` is; says on stderr what is wrong with it.
fn secret(name: &str, given: &SecretString) -> Result<SecretString, Exit> {
    secrets::trimmed(given.expose_secret()).map(SecretString::from).map_err(|blank| {
        eprintln!("{name} {blank}");
        Exit::Usage
    })
}

/// Writes a result to stdout. That nobody reads it to its end, as in `… | head`, is no failure.
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
