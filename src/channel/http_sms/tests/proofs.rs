//! Every way to authenticate a report, and every way in which that can fail.

use hmac::{Hmac, KeyInit, Mac};

use super::*;
use crate::channel::webhook::{Method, Webhook};
use crate::verification::values::Timestamp;

const SECRET: &str = "a secret for these vectors";
const BODY: &[u8] = br#"{"id":"a-1","status":"delivered"}"#;
const NOW: i64 = 1_795_363_200;

/// Headers, the path below the webhook URL, the query.
struct Call<'a> {
    headers: &'a [(&'a str, &'a [u8])],
    path: Option<&'a str>,
    query: Option<&'a str>,
    body: &'a [u8],
}

fn channel(proof: Proof, format: Format) -> HttpSms {
    let documented = Settings::documented("http://127.0.0.1:9", "A", "token".into(), "secret".into());
    let settings =
        Settings { proof, reading: ReportFormat { format, ..ReportFormat::default() }, ..documented };
    HttpSms::new(&basis("sms", Duration::from_secs(1)), settings).unwrap()
}

fn call(channel: &HttpSms, method: Method, call: &Call<'_>) -> Result<(), WebhookError> {
    let Basis { callback, .. } = basis("sms", Duration::from_secs(1));
    let Call { headers, path, query, body } = *call;
    let now = Timestamp::from_millis(NOW * 1_000 + 999);
    match channel.receive(&Webhook { method, callback: &callback, path, query, headers, body, now })? {
        Incoming::Delivery(told) => assert_eq!(told.own.reports.len(), 1),
        Incoming::Challenge(_) => panic!("nothing is asked"),
    }
    Ok(())
}

fn posted(channel: &HttpSms, headers: &[(&str, &[u8])], body: &[u8]) -> Result<(), WebhookError> {
    call(channel, Method::Post, &Call { headers, path: None, query: None, body })
}

fn mac(hash: Hash, secret: &str, content: &[u8]) -> Vec<u8> {
    fn of<M: KeyInit + Mac>(secret: &str, content: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(content);
        mac.finalize().into_bytes().to_vec()
    }
    match hash {
        Hash::Sha1 => of::<Hmac<sha1::Sha1>>(secret, content),
        Hash::Sha256 => of::<Hmac<sha2::Sha256>>(secret, content),
        Hash::Sha512 => of::<Hmac<sha2::Sha512>>(secret, content),
    }
}

fn written(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Encoding::Base64 => BASE64_STANDARD.encode(bytes),
    }
}

fn signature(hash: Hash, encoding: Encoding, prefix: &str) -> Signature {
    Signature {
        header: "x-sig".to_owned(),
        hash,
        encoding,
        prefix: Prefix::Always(prefix.to_owned()),
        ..Signature::documented(SECRET.into())
    }
}

/// Computed with Python's hmac; the last one is from Chatwoot.
#[test]
fn vectors() {
    const BODY: &[u8] = br#"{"status":"delivered"}"#;
    use Encoding::{Base64, Hex};
    for (hash, encoding, claimed) in [
        (Hash::Sha1, Hex, "b04d67bb3549217f3bac56144e97e6e6db078f5b"),
        (Hash::Sha1, Base64, "sE1nuzVJIX87rFYUTpfm5tsHj1s="),
        (Hash::Sha256, Hex, "a561c6efacd4b8939f66ff04e8fbaab0a96127a332061c4a9cdb3856a537fa05"),
        (Hash::Sha256, Base64, "pWHG76zUuJOfZv8E6PuqsKlhJ6MyBhxKnNs4VqU3+gU="),
        (
            Hash::Sha512,
            Base64,
            "NFZUDj+o64GNQ8VOL84smp8Pduy9TKDilGQW4+dHtYGlEs62zTG3/hbs9RQVaZA2Dob8lGXixpcOoIyKOUpUOQ==",
        ),
    ] {
        let verifier = Verifier::new(&Proof::Hmac(signature(hash, encoding, ""))).unwrap();
        let Basis { callback, .. } = basis("sms", Duration::from_secs(1));
        let headers: &[(&str, &[u8])] = &[("x-sig", claimed.as_bytes())];
        let webhook = Webhook {
            method: Method::Post,
            callback: &callback,
            path: None,
            query: None,
            headers,
            body: BODY,
            now: Timestamp::from_millis(0),
        };
        assert_eq!(verifier.verify(&webhook, BODY), Ok(()), "{claimed}");
    }
    let body = br#"{"event":"message_created","id":7,"message_type":"outgoing","content":"Hello"}"#;
    let timed = Signature {
        secret: "chatwoot-secret".into(),
        signed: SignedContent::parse("{timestamp}.{body}").unwrap(),
        timestamp: Some(TimestampHeader { header: "x-time".to_owned(), tolerance: TOLERANCE }),
        ..signature(Hash::Sha256, Encoding::Hex, "sha256=")
    };
    let verifier = Verifier::new(&Proof::Hmac(timed)).unwrap();
    let Basis { callback, .. } = basis("sms", Duration::from_secs(1));
    let claimed = b"sha256=038b466fac901a68623d4f7b66df6b9f29c74eeaa2aebb5fbae8ffa74311a2c8";
    for (away, verdict) in [(0, Ok(())), (300, Ok(())), (-300, Ok(())), (301, Err(())), (-301, Err(()))] {
        let webhook = Webhook {
            method: Method::Post,
            callback: &callback,
            path: None,
            query: None,
            headers: &[("x-sig", &claimed[..]), ("x-time", b"1893456000")],
            body,
            now: Timestamp::from_millis((1_893_456_000 + away) * 1_000),
        };
        let expected = verdict.map_err(|()| WebhookError::Signature(BadSignature::Stale));
        assert_eq!(verifier.verify(&webhook, body), expected, "{away}");
    }
}

/// A valid signature is accepted in the configured spelling only.
#[test]
fn only_the_configured_signature_format_is_accepted() {
    use BadSignature::{Doubled, Malformed, Missing, Wrong};
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
        for encoding in [Encoding::Hex, Encoding::Base64] {
            for prefix in ["", "sha256=", "v1 "] {
                let channel = channel(Proof::Hmac(signature(hash, encoding, prefix)), Format::Json);
                let case = format!("{} {encoding:?} {prefix:?}", hash.as_str());
                let bytes = mac(hash, SECRET, BODY);
                let bare = written(encoding, &bytes);
                let right = format!("{prefix}{bare}");
                let one = |value: &str| posted(&channel, &[("x-sig", value.as_bytes())], BODY);
                assert_eq!(one(&right), Ok(()), "{case}");
                assert_eq!(one(&format!("{}{bare}", prefix.to_uppercase())), Ok(()), "{case}");

                let refused =
                    |result: Result<(), WebhookError>, allowed: &[BadSignature], what: &str| match result {
                        Err(WebhookError::Signature(why)) if allowed.contains(&why) => {}
                        other => panic!("{case}, {what}: {other:?}"),
                    };
                refused(posted(&channel, &[], BODY), &[Missing], "no header");
                refused(
                    posted(&channel, &[("x-signature-256", right.as_bytes())], BODY),
                    &[Missing],
                    "another",
                );
                let doubled = [("x-sig", right.as_bytes()), ("x-sig", right.as_bytes())];
                refused(posted(&channel, &doubled, BODY), &[Doubled], "twice");
                let ignored = mac(hash, "another secret", BODY);
                let mut flipped = bytes.clone();
                flipped[0] ^= 1;
                for wrong in [&ignored, &flipped, &vec![0; bytes.len()]] {
                    let value = format!("{prefix}{}", written(encoding, wrong));
                    refused(one(&value), &[Wrong], &value);
                }
                for length in [1, 4, bytes.len() / 2, bytes.len() - 1] {
                    let value = format!("{prefix}{}", written(encoding, &bytes[..length]));
                    refused(one(&value), &[Wrong], "truncated before it was encoded");
                }
                let longer = [&bytes[..], b"\0"].concat();
                refused(one(&format!("{prefix}{}", written(encoding, &longer))), &[Wrong], "longer");
                let either = [Malformed, Wrong];
                for value in [
                    String::new(),
                    prefix.to_owned(),
                    format!("{right},{right}"),
                    format!("{right}, {right}"),
                    format!(" {right}"),
                    format!("{right} "),
                    format!("{right}\n"),
                    format!("{right}\0"),
                    format!("\u{feff}{right}"),
                    format!("x{right}"),
                    format!("sha1={right}"),
                    right[..right.len() - 1].to_owned(),
                    right[..right.len() / 2].to_owned(),
                    format!("{right}0"),
                    format!("{right}=="),
                    format!("{prefix}0x{}", &bare[2..]),
                ] {
                    refused(one(&value), &either, &format!("{value:?}"));
                }
                refused(posted(&channel, &[("x-sig", b"\xff\xfe")], BODY), &[Malformed], "no text");
                for body in [&b""[..], b"{}", &[BODY, b"\n"].concat(), &[b"\xef\xbb\xbf", BODY].concat()] {
                    refused(posted(&channel, &[("x-sig", right.as_bytes())], body), &[Wrong], "another body");
                }
                let behind = Call {
                    headers: &[("x-sig", right.as_bytes())],
                    path: Some("x"),
                    query: None,
                    body: BODY,
                };
                assert_eq!(call(&channel, Method::Post, &behind), Err(WebhookError::NoSuchAddress));
            }
        }
    }
}

#[test]
fn a_prefix_may_be_optional() {
    let open = Signature {
        prefix: Prefix::Maybe("sha512=".to_owned()),
        ..signature(Hash::Sha512, Encoding::Hex, "")
    };
    let channel = channel(Proof::Hmac(open), Format::Json);
    let bare = written(Encoding::Hex, &mac(Hash::Sha512, SECRET, BODY));
    for value in [bare.clone(), format!("sha512={bare}"), bare.to_uppercase()] {
        assert_eq!(posted(&channel, &[("x-sig", value.as_bytes())], BODY), Ok(()), "{value}");
    }
    let other = format!("sha256={bare}");
    let refused = posted(&channel, &[("x-sig", other.as_bytes())], BODY);
    assert_eq!(refused, Err(WebhookError::Signature(BadSignature::Malformed)));
}

/// A signed timestamp expires, and a changed one invalidates the signature.
#[test]
fn a_signed_timestamp_has_a_tolerance() {
    use BadSignature::{Doubled, Malformed, Missing, Stale, Wrong};
    let timed = Signature {
        signed: SignedContent::parse("v0:{timestamp}:{body}").unwrap(),
        timestamp: Some(TimestampHeader { header: "x-time".to_owned(), tolerance: Duration::from_secs(60) }),
        ..signature(Hash::Sha256, Encoding::Hex, "v0=")
    };
    let channel = channel(Proof::Hmac(timed), Format::Json);
    let signed = |time: &str| {
        let content = [b"v0:", time.as_bytes(), b":", BODY].concat();
        format!("v0={}", written(Encoding::Hex, &mac(Hash::Sha256, SECRET, &content)))
    };
    let verdict = |signed_for: &str, told: &[&str]| {
        let signature = signed(signed_for);
        let mut headers = vec![("x-sig", signature.as_bytes())];
        headers.extend(told.iter().map(|time| ("x-time", time.as_bytes())));
        posted(&channel, &headers, BODY).map_err(|error| match error {
            WebhookError::Signature(why) => why,
            other => panic!("{other:?}"),
        })
    };
    let at = |away: i64| (NOW + away).to_string();
    for (signed_for, told, expected) in [
        (at(0), vec![at(0)], Ok(())),
        (at(-60), vec![at(-60)], Ok(())),
        (at(60), vec![at(60)], Ok(())),
        (at(-61), vec![at(-61)], Err(Stale)),
        (at(61), vec![at(61)], Err(Stale)),
        (at(-86_400), vec![at(0)], Err(Wrong)),
        (at(0), vec![], Err(Missing)),
        (at(0), vec![at(0), at(0)], Err(Doubled)),
        (String::new(), vec![String::new()], Err(Malformed)),
        (format!("{NOW}000"), vec![format!("{NOW}000")], Err(Malformed)),
        (format!("+{NOW}"), vec![format!("+{NOW}")], Err(Malformed)),
        (format!("{NOW}.0"), vec![format!("{NOW}.0")], Err(Malformed)),
        ("-1".to_owned(), vec!["-1".to_owned()], Err(Malformed)),
        ("99999999999".to_owned(), vec!["99999999999".to_owned()], Err(Stale)),
    ] {
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        assert_eq!(verdict(&signed_for, &told), expected, "{signed_for} {told:?}");
    }
}

#[test]
fn basic_credentials_are_in_one_header() {
    use BadSignature::{Doubled, Malformed, Missing, Wrong};
    let proof = Proof::Basic { user: "acme".to_owned(), password: "pass:of the carrier".into() };
    let channel = channel(proof, Format::Json);
    let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
    let right = basic("acme:pass:of the carrier");
    for (headers, expected) in [
        (vec![right.clone()], Ok(())),
        (vec![right.replace("Basic", "basic")], Ok(())),
        (vec![], Err(Missing)),
        (vec![right.clone(), right.clone()], Err(Doubled)),
        (vec![String::new()], Err(Malformed)),
        (vec!["Basic".to_owned()], Err(Malformed)),
        (vec!["Basic ".to_owned()], Err(Malformed)),
        (vec![format!("{right} ")], Err(Malformed)),
        (vec![format!("{right}, {right}")], Err(Malformed)),
        (vec![right[..right.len() - 1].to_owned()], Err(Malformed)),
        (vec![right.replace("Basic", "Bearer")], Err(Malformed)),
        (vec![basic("acme")], Err(Malformed)),
        (vec![basic("acme:")], Err(Wrong)),
        (vec![basic(":pass:of the carrier")], Err(Wrong)),
        (vec![basic("acme:pass:of the carrie")], Err(Wrong)),
        (vec![basic("acme:pass:of the carrier\0")], Err(Wrong)),
        (vec![basic("Acme:pass:of the carrier")], Err(Wrong)),
        (vec!["acme:pass:of the carrier".to_owned()], Err(Malformed)),
    ] {
        let lines: Vec<_> = headers.iter().map(|value| ("authorization", value.as_bytes())).collect();
        assert_eq!(posted(&channel, &lines, BODY), expected.map_err(WebhookError::Signature), "{headers:?}");
    }
}

#[test]
fn a_path_secret_is_in_the_webhook_url_and_the_callback() {
    use BadSignature::{Missing, Wrong};
    let secret = "s3cr3t/of the ädress";
    let channel = channel(Proof::PathSecret(secret.into()), Format::Query);
    let callback = channel.callback.for_message(REFERENCE.parse().unwrap());
    let (address, query) = callback.split_once('?').unwrap();
    let path = address.strip_prefix("https://otp.example.com/webhooks/sms/").unwrap();
    assert!(!path.contains(['/', ' ']), "{path}");
    let query = format!("{query}&status=DELIVRD");
    for (path, expected) in [
        (Some(path), Ok(())),
        (None, Err(Missing)),
        (Some(""), Err(Missing)),
        (Some(&path[..path.len() - 1]), Err(Wrong)),
        (Some(&format!("{path}x")), Err(Wrong)),
        (Some(&format!("{path}%00")), Err(Wrong)),
        (Some(&format!("{path}/{path}")), Err(Wrong)),
        (Some("%zz%"), Err(Wrong)),
        (Some("guess"), Err(Wrong)),
    ] {
        for method in [Method::Get, Method::Post] {
            let this = Call { headers: &[], path, query: Some(&query), body: b"" };
            assert_eq!(call(&channel, method, &this), expected.map_err(WebhookError::Signature), "{path:?}");
        }
    }
    let settings = Settings {
        proof: Proof::PathSecret(secret.into()),
        ..Settings::documented("http://127.0.0.1:9", "A", "token".into(), "secret".into())
    };
    let name = basis("sms", Duration::from_secs(1)).name;
    let channels = crate::channel::all([(
        basis("sms", Duration::from_secs(1)),
        crate::channel::Settings::Http(settings),
    )])
    .unwrap();
    assert_eq!(channels[&name].webhook_url().to_string(), address);
    assert_eq!(channels[&name].callback().to_string(), "https://otp.example.com/webhooks/sms");

    let derived = derived_path_secret(&"token".into());
    assert_eq!(derived.expose_secret().len(), 32);
    assert_ne!(derived.expose_secret(), derived_path_secret(&"other".into()).expose_secret());
}

#[test]
fn a_query_is_signed_like_a_body() {
    let channel = channel(Proof::Hmac(signature(Hash::Sha256, Encoding::Hex, "")), Format::Query);
    let query = "id=a-1&status=DELIVRD";
    let right = written(Encoding::Hex, &mac(Hash::Sha256, SECRET, query.as_bytes()));
    let headers: &[(&str, &[u8])] = &[("x-sig", right.as_bytes())];
    for (query, expected) in [
        (Some(query), Ok(())),
        (Some("id=a-2&status=DELIVRD"), Err(WebhookError::Signature(BadSignature::Wrong))),
        (None, Err(WebhookError::Signature(BadSignature::Wrong))),
    ] {
        let this = Call { headers, path: None, query, body: b"" };
        assert_eq!(call(&channel, Method::Get, &this), expected, "{query:?}");
    }
}

#[test]
fn every_proof_needs_a_secret() {
    let empty = || SecretString::from("");
    for proof in [
        Proof::Hmac(Signature::documented(empty())),
        Proof::Basic { user: "acme".to_owned(), password: empty() },
        Proof::PathSecret(empty()),
    ] {
        assert!(Verifier::new(&proof).is_err());
    }
}
