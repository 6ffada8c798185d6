//! Authenticates Sinch's webhooks: a header with `base64(HMAC-SHA256(secret, body + "." + nonce + "." + timestamp))`,
//! next to the nonce and the timestamp (Sinch, callback documentation and SDK for Node.js 1.5.0, 2026). The receiver
//! has to check the time and to remember the nonces.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::channel::receipts::Receipt;
use crate::channel::signature::{BadSignature, Keys};
use crate::channel::webhook::{Method, Webhook, WebhookError};
use crate::verification::values::Timestamp;

const SIGNATURE: &str = "x-sinch-webhook-signature";
const NONCE: &str = "x-sinch-webhook-nonce";
const TIMESTAMP: &str = "x-sinch-webhook-timestamp";
const ALGORITHM: &str = "x-sinch-webhook-algorithm";

/// The tolerance between a delivery's timestamp and our clock.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Sinch's nonces are ULIDs of 26 letters.
const MAX_NONCE: usize = 128;
/// Enough for unix seconds until the year 9999.
const MAX_DIGITS: usize = 12;

/// The configuration key of the signing secrets.
pub(super) const SECRETS: &str = "webhook_secrets";

/// Checks signature and time. The caller checks the receipt for a replay.
pub(super) fn verify(keys: &Keys, webhook: &Webhook<'_>) -> Result<Receipt, WebhookError> {
    webhook.require_exact_path()?;
    match webhook.method {
        Method::Get => Err(WebhookError::Method("POST")),
        Method::Post => Ok(signed(keys, webhook)?),
    }
}

fn signed(keys: &Keys, webhook: &Webhook<'_>) -> Result<Receipt, BadSignature> {
    match webhook.single_header(ALGORITHM) {
        Err(BadSignature::Missing) => {}
        Ok(name) if name.eq_ignore_ascii_case(b"HmacSHA256") => {}
        Ok(_) => return Err(BadSignature::Malformed),
        Err(bad) => return Err(bad),
    }
    let signature = claimed(webhook.single_header(SIGNATURE)?).ok_or(BadSignature::Malformed)?;
    let (nonce, time) = (webhook.single_header(NONCE)?, webhook.single_header(TIMESTAMP)?);
    let at = unix_seconds(time).filter(|_| is_nonce(nonce)).ok_or(BadSignature::Malformed)?;
    keys.verify_parts(&signature, &[webhook.body, b".", nonce, b".", time])?;
    let distance = webhook.now.since(at).max(at.since(webhook.now));
    if distance > WINDOW {
        return Err(BadSignature::Stale);
    }
    Ok(Receipt::new(nonce, at + WINDOW))
}

/// Decodes 32 bytes of padded Base64; other spellings of the same bytes fail.
fn claimed(header: &[u8]) -> Option<[u8; 32]> {
    STANDARD.decode(header).ok()?.try_into().ok()
}

/// A nonce must not contain a dot: otherwise the end of a body could be moved into the nonce, and a stored delivery
/// could be replayed with a shorter body and a new receipt.
fn is_nonce(nonce: &[u8]) -> bool {
    (1..=MAX_NONCE).contains(&nonce.len())
        && nonce.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_=+/".contains(byte))
}

fn unix_seconds(digits: &[u8]) -> Option<Timestamp> {
    let plain = (1..=MAX_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let seconds: i64 = std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()?;
    seconds
        .checked_mul(1_000)
        .filter(|millis| *millis <= Timestamp::MAX.as_millis())
        .map(Timestamp::from_millis)
}

#[cfg(test)]
pub(super) mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;

    use super::*;
    use crate::channel::webhook::Callback;
    use crate::verification::values::ChannelName;

    pub const SECRET: &str = "foo_secret1234";
    const NOW: i64 = 1_634_579_353;
    const BODY: &str =
        r#"{"app_id":"01APP","message_delivery_report":{"message_id":"01MSG","status":"DELIVERED"}}"#;
    const GOOD: &str = "GDYc+Oi3vdcqkKcrbPuXm7ZvNLQyoIyRQKJdUglVy/g=";
    const SDK_NONCE: &str = "01FJA8B4A7BM43YGWSG9GBV067";

    pub fn sign(secret: &str, body: &[u8], nonce: &str, time: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        [body, b".", nonce.as_bytes(), b".", time.as_bytes()].iter().for_each(|part| mac.update(part));
        STANDARD.encode(mac.finalize().into_bytes())
    }

    fn verdict(
        secrets: &[&str],
        headers: &[(&str, &[u8])],
        body: &[u8],
        now: i64,
    ) -> Result<Receipt, BadSignature> {
        let secrets: Vec<_> = secrets.iter().map(|&secret| secret.into()).collect();
        let keys = Keys::new(&secrets, SECRETS).unwrap();
        let callback = Callback::new("https://otp.example.com", &ChannelName::new("sinch"));
        let now = Timestamp::from_millis(now * 1_000);
        let method = Method::Post;
        let (callback, path, query) = (&callback, None, None);
        match verify(&keys, &Webhook { method, callback, path, query, headers, body, now }) {
            Ok(receipt) => Ok(receipt),
            Err(WebhookError::Signature(bad)) => Err(bad),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn headers<'a>(signature: &'a str, nonce: &'a str, time: &'a str) -> Vec<(&'static str, &'a [u8])> {
        vec![
            (SIGNATURE, signature.as_bytes()),
            (NONCE, nonce.as_bytes()),
            (TIMESTAMP, time.as_bytes()),
            (ALGORITHM, b"HmacSHA256"),
        ]
    }

    /// The first two come from Sinch's SDK for Node.js, the others were computed with Python's hmac.
    #[test]
    fn vectors() {
        for (secret, nonce, time, body, signature) in [
            (
                SECRET,
                SDK_NONCE,
                "1634579353",
                r#"{"app_id":"","accepted_time":"2021-10-18T17:49:13.813615Z","project_id":"e2df3a34-a71b-4448-9db5-a8d2baad28e4","contact_create_notification":{"contact":{"id":"01FJA8B466Y0R2GNXD78MD9SM1","channel_identities":[{"channel":"SMS","identity":"48123456789","app_id":""}],"display_name":"New Test Contact","email":"new.contact@email.com","external_id":"","metadata":"","language":"EN_US"}},"message_metadata":""}"#,
                "6bpJoRmFoXVjfJIVglMoJzYXxnoxRujzR4k2GOXewOE=",
            ),
            (
                "SMSWebhooksSecret",
                "01JHFFHWYY7HSS4FWTMDTQEK8V",
                "1736760161",
                r#"{"at":"2025-01-13T09:22:40.914Z","batch_id":"01JHFFHQ0P99JPPNQPJDV7JTBP","client_reference":"a client reference","code":0,"operator_status_at":"2025-01-13T09:22:00Z","recipient":"33662162466","status":"Delivered","type":"recipient_delivery_report_sms"}"#,
                "ZoHei66PPN/kZjw7hFVfGhJOnml3iGNCMWoyQVcE5o0=",
            ),
            (SECRET, SDK_NONCE, "1634579353", BODY, GOOD),
            (
                "sinch-hook-secret",
                "01JQ3VN7Z0NONCE00000000001",
                "1893456000",
                r#"{"app_id":"01APP","project_id":"p1","message_delivery_report":{"message_id":"01MSG","conversation_id":"","status":"FAILED","channel_identity":{"channel":"WHATSAPP","identity":"491700000001","app_id":""},"contact_id":"","reason":{"code":"RECIPIENT_NOT_REACHABLE","description":"x","sub_code":"UNSPECIFIED_SUB_CODE","channel_code":"131026"},"metadata":"msg-1","processing_mode":"DISPATCH"}}"#,
                "9I142UkLT9GfF4kwkKMT75Z/Pfr1GRgBLYRLZF1iG/0=",
            ),
        ] {
            let now = time.parse().unwrap();
            let good = headers(signature, nonce, time);
            assert!(verdict(&[secret], &good, body.as_bytes(), now).is_ok(), "{signature}");
            assert!(verdict(&["another", secret], &good, body.as_bytes(), now).is_ok(), "either secret");
            assert_eq!(sign(secret, body.as_bytes(), nonce, time), signature);
            let longer = format!("{body} ");
            let refused = verdict(&[secret], &good, longer.as_bytes(), now);
            assert_eq!(refused, Err(BadSignature::Wrong), "{signature}");
            assert_eq!(verdict(&["another"], &good, body.as_bytes(), now), Err(BadSignature::Wrong));
        }
    }

    #[test]
    fn only_the_exact_format_is_accepted() {
        use BadSignature::{Doubled, Malformed, Missing, Wrong};
        let (nonce, time) = (SDK_NONCE, "1634579353");
        let url_safe = GOOD.replace('+', "-").replace('/', "_");
        let hex: String = STANDARD.decode(GOOD).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        let zeros = STANDARD.encode([0; 32]);
        let forms: &[(&str, &str, &str, BadSignature)] = &[
            ("", nonce, time, Malformed),
            (&GOOD[..43], nonce, time, Malformed),
            (&GOOD[..40], nonce, time, Malformed),
            (&format!("{GOOD}="), nonce, time, Malformed),
            (&format!("{GOOD}AAAA"), nonce, time, Malformed),
            (&format!("{GOOD},{GOOD}"), nonce, time, Malformed),
            (&format!(" {GOOD}"), nonce, time, Malformed),
            (&format!("{GOOD}\n"), nonce, time, Malformed),
            (&format!("{GOOD}\0"), nonce, time, Malformed),
            (&format!("sha256={GOOD}"), nonce, time, Malformed),
            (&GOOD.replace("g=", "h="), nonce, time, Malformed),
            (&url_safe, nonce, time, Malformed),
            (&hex, nonce, time, Malformed),
            (&zeros, nonce, time, Wrong),
            (&GOOD.replace('G', "H"), nonce, time, Wrong),
            (GOOD, "", time, Malformed),
            (GOOD, "01.FJA", time, Malformed),
            (GOOD, " 01FJA8B4A7BM43YGWSG9GBV067", time, Malformed),
            (GOOD, &"0".repeat(129), time, Malformed),
            (GOOD, "01FJA8B4A7BM43YGWSG9GBV068", time, Wrong),
            (GOOD, nonce, "", Malformed),
            (GOOD, nonce, "-1634579353", Malformed),
            (GOOD, nonce, "1634579353.0", Malformed),
            (GOOD, nonce, "2021-10-18T17:49:13Z", Malformed),
            (GOOD, nonce, "9999999999999999999999", Malformed),
            (GOOD, nonce, "999999999999", Malformed),
            (GOOD, nonce, "1634579354", Wrong),
        ];
        for (signature, nonce, time, why) in forms {
            let verdict = verdict(&[SECRET], &headers(signature, nonce, time), BODY.as_bytes(), NOW);
            assert_eq!(verdict, Err(*why), "{signature:?} {nonce:?} {time:?}");
        }
        let good = headers(GOOD, nonce, time);
        for place in 0..4 {
            let (mut less, mut more, mut odd) = (good.clone(), good.clone(), good.clone());
            let (name, value) = less.remove(place);
            more.push((name, value));
            odd[place].1 = b"\xff\xfe";
            let without = verdict(&[SECRET], &less, BODY.as_bytes(), NOW);
            if name == ALGORITHM {
                assert!(without.is_ok(), "what else could it be");
            } else {
                assert_eq!(without, Err(Missing), "{name}");
            }
            assert_eq!(verdict(&[SECRET], &more, BODY.as_bytes(), NOW), Err(Doubled), "{name}");
            assert_eq!(verdict(&[SECRET], &odd, BODY.as_bytes(), NOW), Err(Malformed), "{name}");
        }
    }

    /// Body and nonce are signed as one text.
    #[test]
    fn a_body_cannot_be_moved_into_the_nonce() {
        let (body, nonce, time) = (r#"{"a":"b.c"}"#, "nonce", "1634579353");
        let signature = sign(SECRET, body.as_bytes(), nonce, time);
        assert!(verdict(&[SECRET], &headers(&signature, nonce, time), body.as_bytes(), NOW).is_ok());
        let shorter = headers(&signature, r#"c"}.nonce"#, time);
        assert_eq!(verdict(&[SECRET], &shorter, br#"{"a":"b"#, NOW), Err(BadSignature::Malformed));
    }

    #[test]
    fn the_timestamp_has_a_tolerance_of_five_minutes() {
        let good = headers(GOOD, SDK_NONCE, "1634579353");
        for (now, verdict_then) in [
            (NOW - 301, Some(BadSignature::Stale)),
            (NOW - 300, None),
            (NOW + 300, None),
            (NOW + 301, Some(BadSignature::Stale)),
            (NOW + 10 * 365 * 86_400, Some(BadSignature::Stale)),
        ] {
            assert_eq!(verdict(&[SECRET], &good, BODY.as_bytes(), now).err(), verdict_then, "{now}");
        }
        let forged = headers(GOOD, SDK_NONCE, "1634579354");
        let late = verdict(&[SECRET], &forged, BODY.as_bytes(), NOW + 1_000);
        assert_eq!(
            late,
            Err(BadSignature::Wrong),
            "a sender without the secret learns nothing about the time"
        );
    }

    #[test]
    fn every_changed_bit_of_the_body_is_noticed() {
        let good = headers(GOOD, SDK_NONCE, "1634579353");
        for bit in 0..BODY.len() * 8 {
            let mut changed = BODY.as_bytes().to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verdict(&[SECRET], &good, &changed, NOW), Err(BadSignature::Wrong));
        }
    }
}
