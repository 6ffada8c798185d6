//! `twotick user hash`.

use std::io::{self, BufRead, IsTerminal, Read};

use clap::Subcommand;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Exit, print};
use crate::console::password::{self, MAX_BYTES, MIN_CHARS};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the hash of a password for a user of the console
    ///
    /// Asks for the password without showing it, or reads one line from stdin where that is no terminal.
    Hash,
}

pub(super) fn run(command: &Command) -> Exit {
    match command {
        Command::Hash => hash(),
    }
}

fn hash() -> Exit {
    let password = if io::stdin().is_terminal() { ask() } else { read_line() };
    let password = match password {
        Ok(password) => password,
        Err(trouble) => {
            eprintln!("{trouble}");
            return Exit::Failed;
        }
    };
    match password::hash(&password) {
        Ok(hash) => {
            // The hash alone on stdout, so that it can be piped.
            eprintln!("This is password_hash of a [[console.users]]; treat it as a secret:");
            print(&format!("{hash}\n"))
        }
        Err(error) => {
            eprintln!("{error}");
            Exit::Usage
        }
    }
}

/// Twice, so that nobody is locked out by a slip.
fn ask() -> Result<SecretString, String> {
    let unreadable = |error: io::Error| format!("the password cannot be read: {error}");
    let prompt = format!("Password, at least {MIN_CHARS} characters: ");
    let first = SecretString::from(rpassword::prompt_password(prompt).map_err(unreadable)?);
    let second = SecretString::from(rpassword::prompt_password("The same again: ").map_err(unreadable)?);
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err("the two differ; nothing was made".to_owned())
    }
}

fn read_line() -> Result<SecretString, String> {
    let mut line = Zeroizing::new(String::new());
    // One more than is taken, and the end of the line.
    let mut input = io::stdin().lock().take(MAX_BYTES as u64 + 3);
    input.read_line(&mut line).map_err(|error| format!("the password cannot be read: {error}"))?;
    Ok(SecretString::from(line.trim_end_matches(['\r', '\n'])))
}
