//! Access: apps to the API, staff to the console.

use std::collections::BTreeSet;

use secrecy::SecretString;

use crate::language::Language;
use crate::verification::values::{AppName, UserName};

/// A program that may call the API.
#[derive(Debug, Clone)]
pub struct App {
    pub name: AppName,
    /// Any of them is valid, so that one can be rotated; 1 to 16, each of at least 16 visible ASCII characters.
    pub api_keys: Vec<SecretString>,
}

/// Whether an app may supply its own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomCode {
    Allowed,
    Refused,
}

/// A person who may sign in to the console.
#[derive(Debug, Clone)]
pub struct User {
    pub name: UserName,
    pub role: Role,
    /// An argon2id hash as a PHC string.
    pub password_hash: SecretString,
    /// Default language of the user.
    pub language: Option<Language>,
    /// The apps whose verifications the user may see; `None`: all.
    pub apps: Option<BTreeSet<AppName>>,
}

/// Permissions of a console user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads pages with masked numbers.
    Viewer,
    /// Also reveals numbers, resends, cancels and exports.
    Support,
    /// Also reads alerts and the audit log.
    Operator,
}
