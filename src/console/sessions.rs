//! Sessions, in memory only: a restart signs everyone out.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::vault;
use crate::verification::values::{Timestamp, UserName};

/// Idle time after which a session ends.
pub const IDLE: Duration = Duration::from_secs(30 * 60);
/// The maximum duration of a session.
pub const MAX_DURATION: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions per user; a new one beyond this ends the least recently used.
const MAX_PER_USER: usize = 16;

/// A bearer token of 256 random bits, stored in the browser.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<[u8; 32]>);

/// The SHA-256 of a token. The server stores only this, so a memory dump does not reveal valid tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl Token {
    pub fn new() -> Self {
        Self(vault::new_token())
    }

    /// Parses the output of [`Token::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        bytes.as_slice().try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The value of the cookie.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.0))
    }

    pub fn bytes(&self) -> &[u8] {
        &*self.0
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(*self.0).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[derive(Default)]
pub struct Sessions {
    table: Mutex<HashMap<TokenHash, Session>>,
}

struct Session {
    user: UserName,
    started: Timestamp,
    used: Timestamp,
}

impl Session {
    fn is_open(&self, now: Timestamp) -> bool {
        now.since(self.used) < IDLE && now.since(self.started) < MAX_DURATION
    }
}

impl Sessions {
    /// Starts a session with a new token.
    pub fn open(&self, user: UserName, now: Timestamp) -> Token {
        let token = Token::new();
        let mut table = self.table();
        table.retain(|_, session| session.is_open(now));
        let of_user = table.iter().filter(|(_, session)| session.user == user);
        let mut of_user: Vec<_> = of_user.map(|(hash, session)| (session.used, *hash)).collect();
        if of_user.len() >= MAX_PER_USER {
            of_user.sort_by_key(|(used, _)| *used);
            for (_, hash) in of_user.iter().take(of_user.len() + 1 - MAX_PER_USER) {
                table.remove(hash);
            }
        }
        table.insert(token.hash(), Session { user, started: now, used: now });
        token
    }

    /// The user of an open session. Counts as activity.
    pub fn used(&self, hash: TokenHash, now: Timestamp) -> Option<UserName> {
        let mut table = self.table();
        let session = table.get_mut(&hash)?;
        if !session.is_open(now) {
            table.remove(&hash);
            return None;
        }
        session.used = session.used.max(now);
        Some(session.user.clone())
    }

    /// The user of an open session, without counting as activity, for automatic requests.
    pub fn seen(&self, hash: TokenHash, now: Timestamp) -> Option<UserName> {
        let table = self.table();
        table.get(&hash).filter(|session| session.is_open(now)).map(|session| session.user.clone())
    }

    pub fn close(&self, hash: TokenHash) {
        self.table().remove(&hash);
    }

    /// Ends all sessions of a user and returns their number.
    pub fn close_all(&self, user: &UserName) -> usize {
        let mut table = self.table();
        let before = table.len();
        table.retain(|_, session| session.user != *user);
        before - table.len()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<TokenHash, Session>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000) + Duration::from_secs(60 * minutes)
    }

    fn ada() -> UserName {
        UserName::parse("ada").unwrap()
    }

    #[test]
    fn a_session_ends_after_30_idle_minutes() {
        let sessions = Sessions::default();
        let hash = sessions.open(ada(), at(0)).hash();
        assert_eq!(sessions.used(hash, at(29)), Some(ada()));
        assert_eq!(sessions.used(hash, at(58)), Some(ada()));
        assert_eq!(sessions.used(hash, at(88)), None);
        assert_eq!(sessions.used(hash, at(60)), None, "what has ended does not begin again");
    }

    #[test]
    fn automatic_requests_do_not_extend_the_session() {
        let sessions = Sessions::default();
        let hash = sessions.open(ada(), at(0)).hash();
        for minute in 0..30 {
            assert_eq!(sessions.seen(hash, at(minute)), Some(ada()));
        }
        assert_eq!(sessions.seen(hash, at(30)), None);
    }

    #[test]
    fn a_session_ends_after_12_hours_of_use() {
        let sessions = Sessions::default();
        let hash = sessions.open(ada(), at(0)).hash();
        for minute in (0..12 * 60).step_by(20) {
            assert_eq!(sessions.used(hash, at(minute)), Some(ada()), "{minute}");
        }
        assert_eq!(sessions.used(hash, at(12 * 60)), None);
    }

    #[test]
    fn signing_out_ends_one_session_or_all_of_the_user() {
        let sessions = Sessions::default();
        let bob = UserName::parse("bob").unwrap();
        let hashes = [ada(), ada(), ada(), bob.clone()].map(|user| sessions.open(user, at(0)).hash());
        sessions.close(hashes[0]);
        assert_eq!(
            hashes.map(|hash| sessions.used(hash, at(1))).map(|user| user.is_some()),
            [false, true, true, true]
        );
        assert_eq!(sessions.close_all(&ada()), 2);
        assert_eq!(hashes.map(|hash| sessions.used(hash, at(1))), [None, None, None, Some(bob)]);
    }

    #[test]
    fn sessions_per_user_are_bounded_and_the_least_recently_used_ends() {
        let sessions = Sessions::default();
        let first = sessions.open(ada(), at(0)).hash();
        let second = sessions.open(ada(), at(1)).hash();
        assert_eq!(sessions.used(first, at(2)), Some(ada()));
        for _ in 2..=MAX_PER_USER {
            sessions.open(ada(), at(3));
        }
        assert_eq!(sessions.used(second, at(4)), None);
        assert_eq!(sessions.used(first, at(4)), Some(ada()));
    }

    #[test]
    fn a_token_round_trips_and_is_not_printed() {
        let token = Token::new();
        assert_eq!(Token::parse(&token.to_text()), Some(token.clone()));
        assert_ne!(Token::new(), token);
        assert_eq!(format!("{token:?}"), "Token(…)");
        for wrong in ["", "a", "../..", &"A".repeat(44), &"A".repeat(4096)] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
    }
}
