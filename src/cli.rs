//! The command line: what can be typed, and how a command ends. One file a command.

mod config;
pub mod explain;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Environment, Loaded, Problem, Source};

/// Gets a one-time passcode to a person by WhatsApp, by SMS when that is not delivered in time, and knows
/// what became of it.
#[derive(Debug, Parser)]
#[command(name = "twotick", version, arg_required_else_help = true)]
pub struct Cli {
    /// Configuration file [default: $TWOTICK_CONFIG, ./config.toml, /etc/twotick/config.toml]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,

    /// Set a key over file and environment, such as --set server.listen=127.0.0.1:9000. Others on this
    /// machine can read it: set no secret so
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check, show or write the configuration
    #[command(subcommand)]
    Config(config::Command),
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
        Command::Config(command) => config::run(cli, command),
    }
}

/// The configuration that the flags, the environment and the file make. Without one, says on stderr what is
/// wrong and how the command ends.
fn load_config(cli: &Cli) -> Result<Loaded, Exit> {
    let environment = Environment::from_process();
    let mut overrides = Vec::new();
    for setting in &cli.set {
        let Some((key, value)) = setting.split_once('=') else {
            eprintln!("--set needs KEY=VALUE, such as --set server.listen=127.0.0.1:9000");
            return Err(Exit::Usage);
        };
        overrides.push((key.to_owned(), value.to_owned()));
    }
    let source = Source { file: cli.config.clone(), overrides, environment: &environment };
    Config::load(&source).map_err(|problems| {
        eprintln!("{problems}");
        let built_in = |problem: &Problem| matches!(problem.origin, crate::config::Origin::BuiltIn { .. });
        if problems.iter().any(built_in) {
            eprintln!("no configuration file found; `twotick config init` writes one");
        }
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
