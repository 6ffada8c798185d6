//! `twotick user hash`.

use std::io::{self, BufRead, IsTerminal, Read};

use clap::Subcommand;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Exit, print};
use crate::console::password::{self, MAX_BYTES, MIN_CHARS};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create the password hash of a console user
    ///
    /// Asks for the password without echo, or reads one line from stdin if that is not a terminal.
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
            // Only the hash goes to stdout, so that it can be piped.
            eprintln!("This is password_hash of a [[console.users]]; treat it as a secret:");
            print(&format!("{hash}\n"))
        }
        Err(error) => {
            eprintln!("{error}");
            Exit::Usage
        }
    }
}

/// Asks twice, to catch a typo.
fn ask() -> Result<SecretString, String> {
    let unreadable = |error: io::Error| format!("cannot read the password: {error}");
    let prompt = format!("Password, at least {MIN_CHARS} characters: ");
    let first = SecretString::from(rpassword::prompt_password(prompt).map_err(unreadable)?);
    let second = SecretString::from(rpassword::prompt_password("Repeat the password: ").map_err(unreadable)?);
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err("the passwords differ".to_owned())
    }
}

fn read_line() -> Result<SecretString, String> {
    let mut line = Zeroizing::new(String::new());
    // One byte more than allowed, and the line ending.
    let mut input = io::stdin().lock().take(MAX_BYTES as u64 + 3);
    input.read_line(&mut line).map_err(|error| format!("cannot read the password: {error}"))?;
    Ok(SecretString::from(line.trim_end_matches(['\r', '\n'])))
}
