//! Passwords: their hashes are made and checked here, with argon2id, away from the threads that serve.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// A new password has at least so many characters.
pub const LEAST_CHARS: usize = 12;
/// A longer one is refused before it is hashed, in bytes.
pub const MOST_BYTES: usize = 1_024;
/// OWASP, "Password Storage Cheat Sheet", November 2025: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes that are computed at once; each takes 19 MiB.
const AT_ONCE: usize = 2;
/// That may wait for them.
const WAITING: usize = 16;

/// The hash of a new password as a PHC string, for `password_hash` in `[[console.users]]`.
pub fn hash(password: &SecretString) -> Result<String, HashError> {
    let clear = password.expose_secret();
    if clear.chars().count() < LEAST_CHARS {
        return Err(HashError::TooShort);
    }
    if clear.len() > MOST_BYTES {
        return Err(HashError::TooLong);
    }
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashError::Failed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2.hash_password(clear.as_bytes()).map_err(|_| HashError::Failed)?;
    Ok(hash.to_string())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("a password has at least {LEAST_CHARS} characters")]
    TooShort,
    #[error("a password has at most {MOST_BYTES} bytes")]
    TooLong,
    #[error("the password cannot be hashed")]
    Failed,
}

/// Checks passwords, a few at once.
pub struct Checker {
    running: Semaphore,
    admitted: Semaphore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    Wrong,
    /// Too many wait to be checked; this one was not.
    Busy,
}

impl Default for Checker {
    fn default() -> Self {
        Self { running: Semaphore::new(AT_ONCE), admitted: Semaphore::new(AT_ONCE + WAITING) }
    }
}

impl Checker {
    /// Compares with a hash in PHC form.
    pub async fn check(&self, hash: &SecretString, password: SecretString) -> Verdict {
        if password.expose_secret().len() > MOST_BYTES {
            return Verdict::Wrong;
        }
        let Ok(_admitted) = self.admitted.try_acquire() else { return Verdict::Busy };
        let Ok(_running) = self.running.acquire().await else { return Verdict::Busy };
        let hash = hash.clone();
        let is_right = tokio::task::spawn_blocking(move || {
            PasswordHash::new(hash.expose_secret()).is_ok_and(|hash| {
                Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok()
            })
        });
        match is_right.await {
            Ok(true) => Verdict::Right,
            Ok(false) | Err(_) => Verdict::Wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let password = SecretString::from("correct horse battery");
        let made = hash(&password).unwrap();
        assert!(made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{made}");
        assert_ne!(made, hash(&password).unwrap(), "each has a salt of its own");
        let (checker, made) = (Checker::default(), SecretString::from(made));
        assert_eq!(checker.check(&made, password).await, Verdict::Right);
        for wrong in ["correct horse batterz", "", &"x".repeat(MOST_BYTES + 1)] {
            assert_eq!(checker.check(&made, SecretString::from(wrong)).await, Verdict::Wrong, "{wrong}");
        }
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert_eq!(hash(&SecretString::from("elevenchars")), Err(HashError::TooShort));
        assert_eq!(hash(&SecretString::from("ä".repeat(11))), Err(HashError::TooShort));
        assert_eq!(hash(&SecretString::from("x".repeat(MOST_BYTES + 1))), Err(HashError::TooLong));
    }

    #[tokio::test]
    async fn more_than_can_wait_are_turned_away() {
        let checker = Checker::default();
        let _all = checker.admitted.acquire_many((AT_ONCE + WAITING) as u32).await.unwrap();
        let hash = SecretString::from("$argon2id$");
        assert_eq!(checker.check(&hash, SecretString::from("whatever it is")).await, Verdict::Busy);
    }
}
