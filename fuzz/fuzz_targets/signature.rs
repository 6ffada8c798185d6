//! A body, a header derived from a valid signature, and sometimes a second header: the request is accepted if and only
//! if there is exactly one header and it equals the HMAC, computed here from its definition (RFC 2104) over SHA-256.
//! Also Meta's challenge, answered only with the verify token.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use twotick::channel::Channel;
use twotick::channel::signature::{BadSignature, sign};
use twotick::channel::webhook::{Incoming, WebhookError};
use twotick_fuzz::{SECRETS, VERIFY_TOKEN, get, post, sms, whatsapp};

static META: LazyLock<Arc<Channel>> = LazyLock::new(whatsapp);
static SMS: LazyLock<Arc<Channel>> = LazyLock::new(|| sms(|_| {}));

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    signer: Signer<'a>,
    changes: Vec<Change>,
    second: Option<&'a [u8]>,
    mode: &'a str,
    token: Option<&'a str>,
    challenge: &'a str,
    body: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Signer<'a> {
    InUse,
    Before,
    Somebody { secret: &'a str },
    Nobody { header: &'a [u8] },
}

#[derive(Arbitrary, Debug)]
enum Change {
    Flip { at: u8, bits: u8 },
    Insert { at: u8, byte: u8 },
    Remove { at: u8 },
    Upper,
}

fuzz_target!(|input: Input<'_>| {
    let signed = |secret: &str| sign(&secret.into(), input.body).into_bytes();
    let mut header = match input.signer {
        Signer::InUse => signed(SECRETS[0]),
        Signer::Before => signed(SECRETS[1]),
        Signer::Somebody { secret } => signed(secret),
        Signer::Nobody { header } => header.to_vec(),
    };
    input.changes.iter().for_each(|change| change.make(&mut header));

    let headers: Vec<&[u8]> = [Some(&header[..]), input.second].into_iter().flatten().collect();
    check(verdict(post(&META, "x-hub-signature-256", &headers, input.body)), &headers, &SECRETS, input.body);
    check(verdict(post(&SMS, "x-signature-256", &headers, input.body)), &headers, &SECRETS[..1], input.body);

    let token = input.token.unwrap_or(VERIFY_TOKEN);
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("hub.mode", input.mode)
        .append_pair("hub.verify_token", token)
        .append_pair("hub.challenge", input.challenge)
        .finish();
    let answer = match get(&META, &query) {
        Ok(Incoming::Challenge(reply)) => Some(reply.body),
        Err(WebhookError::Challenge) => None,
        other => panic!("{other:?}"),
    };
    let plain = !input.challenge.is_empty()
        && input.challenge.len() <= 512
        && input.challenge.chars().all(|letter| ('!'..='~').contains(&letter));
    let answerable = token == VERIFY_TOKEN && input.mode == "subscribe" && plain;
    assert_eq!(answer.as_deref(), answerable.then_some(input.challenge));
    assert_eq!(get(&SMS, &query).err(), Some(WebhookError::Method("POST")));
});

fn verdict(heard: Result<Incoming, WebhookError>) -> Result<(), BadSignature> {
    match heard {
        Ok(Incoming::Delivery(_)) => Ok(()),
        Err(WebhookError::Signature(bad)) => Err(bad),
        other => panic!("{other:?}"),
    }
}

impl Change {
    fn make(&self, header: &mut Vec<u8>) {
        let length = header.len();
        match *self {
            Self::Flip { at, bits } => {
                if let Some(byte) = header.get_mut(usize::from(at)) {
                    *byte ^= bits;
                }
            }
            Self::Insert { at, byte } => header.insert(usize::from(at).min(length), byte),
            Self::Remove { at } => {
                if usize::from(at) < length {
                    header.remove(usize::from(at));
                }
            }
            Self::Upper => header.make_ascii_uppercase(),
        }
    }
}

fn check(verdict: Result<(), BadSignature>, headers: &[&[u8]], secrets: &[&str], body: &[u8]) {
    let right = match headers {
        [header] => {
            secrets.iter().any(|secret| header.eq_ignore_ascii_case(&by_definition(secret.as_bytes(), body)))
        }
        _ => false,
    };
    assert_eq!(verdict.is_ok(), right, "{verdict:?} of {headers:?}");
    if headers.len() > 1 {
        assert_eq!(verdict, Err(BadSignature::Doubled));
    }
}

fn by_definition(secret: &[u8], body: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 64;
    assert!(secret.len() <= BLOCK, "a longer one would be hashed first");
    let padded = |with: u8| {
        let mut block = [with; BLOCK];
        block.iter_mut().zip(secret).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(body).finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
    let hex: String = outer.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}").into_bytes()
}
