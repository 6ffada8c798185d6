//! `X-Twilio-Signature`: base64 of an HMAC over the called URL and the form parameters, sorted by name, each name
//! followed by its values. The hash is SHA-1 unless `X-Twilio-Webhooks-Signature-Settings` names another (twilio-python
//! 9.13).

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::channel::SetupError;
use crate::channel::signature::{BadSignature, keyed};
use crate::channel::webhook::Webhook;
use crate::hex;

/// The header with the signature.
pub const SIGNATURE: &str = "x-twilio-signature";
/// The header that names the algorithm if it is not SHA-1.
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
/// The query parameter with the SHA-256 of a body that is not a form; the signature covers it as part of the URL.
const BODY_HASH: &str = "bodySHA256";

/// The accepted secrets; any of them may sign.
pub(super) struct TokenKeys(Vec<TokenKey>);

struct TokenKey {
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Sha1,
    Sha256,
}

impl TokenKeys {
    pub(super) fn new(secrets: &[SecretString], setting: &'static str) -> Result<Self, SetupError> {
        if secrets.is_empty() || secrets.iter().any(|secret| secret.expose_secret().is_empty()) {
            return Err(SetupError::EmptySecret(setting));
        }
        Ok(Self(secrets.iter().map(TokenKey::new).collect()))
    }

    /// Compares in constant time, trying each secret and each spelling of the URL.
    pub(super) fn verify(&self, webhook: &Webhook<'_>) -> Result<(), BadSignature> {
        let header = webhook.single_header(SIGNATURE)?;
        let algorithm = Algorithm::of(webhook)?;
        let claimed = BASE64_STANDARD.decode(header).map_err(|_| BadSignature::Malformed)?;
        if claimed.len() != algorithm.length() {
            return Err(BadSignature::Malformed);
        }
        let parameters = match webhook.query_pairs().find(|(name, _)| name == BODY_HASH) {
            Some((_, hash)) if hash == hex::encode(&Sha256::digest(webhook.body)) => String::new(),
            Some(_) => return Err(BadSignature::Wrong),
            None => parameters(webhook.body),
        };
        let mut signed = false;
        for url in spellings(&webhook.url()) {
            for key in &self.0 {
                signed |= key.signed(algorithm, &[&url, &parameters], &claimed);
            }
        }
        if signed { Ok(()) } else { Err(BadSignature::Wrong) }
    }
}

/// The value of [`SIGNATURE`] that Twilio sends when it posts the form `body` to `url`.
pub fn sign(token: &SecretString, url: &str, body: &[u8]) -> String {
    let mut mac = TokenKey::new(token).sha1;
    mac.update(url.as_bytes());
    mac.update(parameters(body).as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

impl TokenKey {
    fn new(secret: &SecretString) -> Self {
        Self { sha1: keyed(secret), sha256: keyed(secret) }
    }

    fn signed(&self, algorithm: Algorithm, parts: &[&str], claimed: &[u8]) -> bool {
        match algorithm {
            Algorithm::Sha1 => is_of(self.sha1.clone(), parts, claimed),
            Algorithm::Sha256 => is_of(self.sha256.clone(), parts, claimed),
        }
    }
}

fn is_of(mut mac: impl Mac, parts: &[&str], claimed: &[u8]) -> bool {
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    mac.verify_slice(claimed).is_ok()
}

impl Algorithm {
    /// Parses `key=ID,algorithm=HMAC_SHA256`; SHA-1 if the header or its `algorithm` is missing.
    fn of(webhook: &Webhook<'_>) -> Result<Self, BadSignature> {
        let header = match webhook.single_header(SETTINGS) {
            Ok(header) => header,
            Err(BadSignature::Missing) => return Ok(Self::Sha1),
            Err(bad) => return Err(bad),
        };
        let text = std::str::from_utf8(header).map_err(|_| BadSignature::Malformed)?;
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(name, _)| name.trim() == "algorithm").map(|(_, value)| value.trim());
        match (named.next(), named.next()) {
            (None | Some("HMAC_SHA1"), None) => Ok(Self::Sha1),
            (Some("HMAC_SHA256"), None) => Ok(Self::Sha256),
            (_, _) => Err(BadSignature::Malformed),
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// The form parameters as signed. A duplicate name and value count once.
fn parameters(body: &[u8]) -> String {
    let pairs: BTreeSet<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(body).collect();
    pairs.iter().flat_map(|(name, value)| [&**name, &**value]).collect()
}

/// The URL without and with its port. Proxies and Twilio's own systems add and remove the port, so Twilio's libraries
/// accept both.
fn spellings(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let usual = if scheme == "http" { "80" } else { "443" };
    let (host, port) =
        authority.rsplit_once(':').filter(|(_, port)| is_port(port)).unwrap_or((authority, usual));
    vec![format!("{scheme}://{host}{tail}"), format!("{scheme}://{host}:{port}{tail}")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::webhook::{Callback, Method};
    use crate::verification::values::Timestamp;

    const CALL: &str =
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
    const STATUS: &str = "MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=delivered\
         &AccountSid=AC0123456789abcdef0123456789abcdef&To=%2B14155550100&From=%2B14155550199&ApiVersion=2010-04-01";

    fn keys(tokens: &[&str]) -> TokenKeys {
        let tokens: Vec<SecretString> = tokens.iter().map(|&token| token.into()).collect();
        TokenKeys::new(&tokens, "auth_tokens").unwrap()
    }

    /// Verifies the vector with `address` as the channel's URL.
    fn verify(
        keys: &TokenKeys,
        address: &str,
        headers: &[(&str, &[u8])],
        body: &[u8],
    ) -> Result<(), BadSignature> {
        let (address, query) =
            address.split_once('?').map_or((address, None), |(before, query)| (before, Some(query)));
        let callback = Callback::at(address);
        let now = Timestamp::from_millis(0);
        keys.verify(&Webhook {
            method: Method::Post,
            callback: &callback,
            path: None,
            query,
            headers,
            body,
            now,
        })
    }

    const SHA256: (&str, &[u8]) = (SETTINGS, b"key=KS1,algorithm=HMAC_SHA256");

    #[test]
    fn twilios_vectors() {
        let sets = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
        let of_whatsapp = STATUS
            .replace("delivered", "undelivered&ErrorCode=63016&ChannelPrefix=whatsapp")
            .replace("%2B14155550", "whatsapp:%2B14155550");
        let json = r#"{"property": "value", "boolean": true}"#;
        let page = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let hashed =
            format!("{page}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620");
        let status = "https://otp.example.test/hooks/twilio/status";
        let sha1 = |url: &str, body: &str, signature: &str| {
            (url.to_owned(), body.to_owned(), vec![], signature.to_owned())
        };
        for (url, body, settings, signature) in [
            sha1(page, CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (
                page.to_owned(),
                CALL.to_owned(),
                vec![SHA256],
                "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s=".to_owned(),
            ),
            // Signed with the port but called without it, and vice versa.
            sha1(page, CALL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
            sha1("https://mycompany.com:443/myapp.php?foo=1&bar=2", CALL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
            sha1("https://mycompany.com:443/myapp.php?foo=1&bar=2", CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            sha1("http://mycompany.com:80/myapp.php?foo=1&bar=2", CALL, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
            sha1("http://mycompany.com/myapp.php?foo=1&bar=2", CALL, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
            sha1(page, sets, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
            sha1(&hashed, json, "a9nBmqA0ju/hNViExpshrM61xv4="),
            sha1(status, STATUS, "7TGvSDO+lct75bx1D2cFK4RU7+w="),
            sha1(&format!("{status}?s=1"), &of_whatsapp, "8uZu3PAeH6YYdpQ/gQNYb4qJiOM="),
        ] {
            let body = body.as_bytes();
            let mut headers: Vec<(&str, &[u8])> = settings;
            headers.push((SIGNATURE, signature.as_bytes()));
            let outcomes = ["12345", "another"].map(|token| verify(&keys(&[token]), &url, &headers, body));
            assert_eq!(outcomes, [Ok(()), Err(BadSignature::Wrong)], "{url} {signature}");
            let after_a_change = keys(&["the new one", "12345"]);
            assert_eq!(verify(&after_a_change, &url, &headers, body), Ok(()), "each token verifies");
            let mut longer = body.to_vec();
            longer.extend(b"&x=1");
            assert_eq!(
                verify(&after_a_change, &url, &headers, &longer),
                Err(BadSignature::Wrong),
                "what was added is signed too"
            );
            let elsewhere = format!("{url}{}x=1", if url.contains('?') { "&" } else { "?" });
            assert_eq!(verify(&after_a_change, &elsewhere, &headers, body), Err(BadSignature::Wrong));
        }
        let other_body = format!("{json} ");
        let headers = [(SIGNATURE, &b"a9nBmqA0ju/hNViExpshrM61xv4="[..])];
        assert_eq!(
            verify(&keys(&["12345"]), &hashed, &headers, other_body.as_bytes()),
            Err(BadSignature::Wrong)
        );
    }

    #[test]
    fn other_forms_of_the_header_are_refused() {
        use BadSignature::{Doubled, Malformed, Missing, Wrong};
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let (sha1, sha256) = ("RSOYDt4T1cUTdK1PDd93/VVr8B8=", "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s=");
        let keys = keys(&["12345"]);
        let ask = |headers: &[(&str, &[u8])]| verify(&keys, url, headers, CALL.as_bytes());
        let one = |signature: &str| ask(&[(SIGNATURE, signature.as_bytes())]);
        assert_eq!(ask(&[]), Err(Missing));
        assert_eq!(ask(&[(SIGNATURE, sha1.as_bytes()), (SIGNATURE, sha1.as_bytes())]), Err(Doubled));
        for (signature, why) in [
            ("", Malformed),
            ("=", Malformed),
            (&sha1[..27], Malformed),
            (&sha1[..24], Malformed),
            (&format!("{sha1}="), Malformed),
            (&format!("{sha1},{sha1}"), Malformed),
            (&format!(" {sha1}"), Malformed),
            (&format!("{sha1}\n"), Malformed),
            (&format!("{sha1}\0"), Malformed),
            (&format!("sha1={sha1}"), Malformed),
            (&sha1.replace('/', "_"), Malformed),
            // An alternative encoding of the same bytes.
            (&sha1.replace("8=", "9="), Malformed),
            (&sha1.to_ascii_lowercase(), Wrong),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAA=", Wrong),
            (sha256, Malformed),
        ] {
            assert_eq!(one(signature), Err(why), "{signature:?}");
        }
        for (settings, outcome) in [
            ("", Ok(())),
            ("key=KS1", Ok(())),
            ("algorithm=HMAC_SHA1", Ok(())),
            ("key=KS1, algorithm = HMAC_SHA1", Ok(())),
            ("algorithm=", Err(Malformed)),
            ("algorithm=none", Err(Malformed)),
            ("algorithm=HMAC_SHA512", Err(Malformed)),
            ("algorithm=hmac_sha1", Err(Malformed)),
            ("algorithm=HMAC_SHA1,algorithm=HMAC_SHA256", Err(Malformed)),
            ("algorithm=HMAC_SHA256", Err(Malformed)),
            ("\u{e9}", Ok(())),
        ] {
            let headers = [(SIGNATURE, sha1.as_bytes()), (SETTINGS, settings.as_bytes())];
            assert_eq!(ask(&headers), outcome, "{settings}");
        }
        assert_eq!(ask(&[(SIGNATURE, sha1.as_bytes()), (SETTINGS, b"\xff")]), Err(Malformed));
        assert_eq!(ask(&[(SIGNATURE, sha256.as_bytes()), SHA256]), Ok(()));
        assert_eq!(ask(&[(SIGNATURE, sha256.as_bytes()), SHA256, SHA256]), Err(Doubled));
        assert_eq!(ask(&[(SIGNATURE, sha1.as_bytes()), SHA256]), Err(Malformed));
    }

    #[test]
    fn a_url_is_tried_with_and_without_its_port() {
        for (url, without, with) in [
            ("https://a.example/x?y=1", "https://a.example/x?y=1", "https://a.example:443/x?y=1"),
            ("http://a.example/x", "http://a.example/x", "http://a.example:80/x"),
            ("https://a.example:8443/x", "https://a.example/x", "https://a.example:8443/x"),
            ("https://[::1]/x", "https://[::1]/x", "https://[::1]:443/x"),
            ("https://[::1]:9/x", "https://[::1]/x", "https://[::1]:9/x"),
            ("https://a.example?y=b:1", "https://a.example?y=b:1", "https://a.example:443?y=b:1"),
        ] {
            assert_eq!(spellings(url), [without, with], "{url}");
        }
    }

    #[test]
    fn our_signature_matches_twilios() {
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(sign(&"12345".into(), url, CALL.as_bytes()), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }

    #[test]
    fn there_are_no_keys_without_tokens() {
        for tokens in [&[][..], &["".into()], &["12345".into(), "".into()]] {
            assert!(TokenKeys::new(tokens, "auth_tokens").is_err());
        }
    }
}
