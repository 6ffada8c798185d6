//! Valid and invalid channels of kind `http`.

use secrecy::ExposeSecret;

use crate::channel::Settings;
use crate::channel::http_sms::{self, Authorization, BodyType, Format, Hash, Proof, SendMethod};
use crate::config::{Config, Environment, Problems};

const SECRET: &str = "CANARY-of-the-reports";

/// Parses a file with this channel; its own keys precede `[channels.sms.report]`.
fn parse(channel: &str) -> Result<Config, Problems> {
    let text = format!(
        "[[apps]]\nname = \"shop\"\napi_keys = [\"CANARY-shop-key-1234\"]\n{channel}\n[profiles.login]\n\
         brand = \"Acme\"\nsteps = [{{ channel = \"sms\", text = \"otp\" }}]\n[texts.otp]\nen = \"{{code}}\"\n"
    );
    let variables = ["SMS_KEY", "SMS_PASSWORD", "SMS_REPORT_SECRET", "SMS_REPORT_PASSWORD"];
    let environment: Environment = variables.map(|name| (name, SECRET)).into_iter().collect();
    Config::parse(&text, &environment)
}

fn channel(keys: &str, report: &str) -> String {
    let head = "[channels.sms]\nkind = \"http\"\nurl = \"https://sms.example.com/send\"";
    format!("{head}\n{keys}\n{report}")
}

const GOOD: &str = "from = \"Acme\"\nbearer = \"CANARY\"\nreport_secret = \"CANARY-of-the-reports\"";

fn read(text: &str) -> http_sms::Settings {
    let mut config = parse(text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    match config.channels.remove("sms").unwrap().kind {
        Settings::Http(settings) => settings,
        other => panic!("it is of kind http: {other:?}"),
    }
}

#[test]
fn a_minimal_channel_has_the_documented_defaults() {
    let settings = read(&channel(GOOD, ""));
    assert_eq!((settings.method, settings.query.is_none()), (SendMethod::Post, true));
    assert_eq!(settings.body.unwrap().body_type(), BodyType::Json);
    assert!(matches!(settings.authorization, Some(Authorization::Bearer(_))));
    let Proof::Hmac(signature) = settings.proof else { panic!("it is signed") };
    assert_eq!((signature.hash, signature.header.as_str()), (Hash::Sha256, http_sms::SIGNATURE_HEADER));
    assert_eq!(signature.prefix, http_sms::Prefix::Always("sha256=".to_owned()));
    assert_eq!(settings.reading.format, Format::Json);
}

#[test]
fn the_documentation_examples_are_valid() {
    let page = include_str!("../../../../docs/channels/http.md");
    let examples: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(text, _)| text)
        .collect();
    assert_eq!(examples.len(), 3);
    let settings: Vec<_> = examples.iter().map(|text| read(text)).collect();
    let [nested, form, query] = &settings[..] else { panic!("three of them") };
    assert_eq!(nested.headers[0].0, "x-api-key");
    assert!(matches!(&nested.proof, Proof::Hmac(signature) if signature.timestamp.is_some()));
    assert_eq!(form.body.as_ref().unwrap().body_type(), BodyType::Form);
    assert!(matches!(&form.proof, Proof::Basic { user, .. } if user == "carrier"));
    assert_eq!((query.method, query.body.is_none(), query.query.is_some()), (SendMethod::Get, true, true));
    assert!(matches!(&query.proof, Proof::PathSecret(secret) if secret.expose_secret() == SECRET));
    assert_eq!(
        query.url, "https://gw.carrier.example/cgi-bin/send",
        "what may hold a key is not in the address"
    );
}

#[test]
fn a_path_secret_can_be_derived_from_the_credential() {
    let report = "[channels.sms.report]\nscheme = \"path-secret\"";
    let settings = read(&channel("from = \"A\"\nbearer = \"CANARY\"", report));
    let Proof::PathSecret(secret) = settings.proof else { panic!("{settings:?}") };
    assert_eq!(secret.expose_secret(), http_sms::derived_path_secret(&"CANARY".into()).expose_secret());
}

/// Keys, keys of the report, the key with the problem, part of the message.
type Row = (&'static str, &'static str, &'static str, &'static str);

const WRONG: &[Row] = &[
    // The request.
    ("method = \"DELETE\"", "", "method", "\"POST\" or \"GET\" or \"PUT\" or \"PATCH\""),
    ("method = \"post\"", "", "method", "\"POST\""),
    ("method = \"GET\"", "", "method", "GET has no body"),
    ("body_type = \"xml\"", "", "body_type", "\"json\" or \"form\" or \"query\""),
    (
        "body = '{\"t\": \"{txt}\", \"to\": \"{to}\"}'",
        "",
        "body",
        "{txt}; allowed: {to}, {to_digits}, {from}, {text}, {reference}, {callback}; did you mean \"{text}\"?",
    ),
    (
        "body = '{\"t\": {text}, \"to\": \"{to}\"}'",
        "",
        "body",
        "must be JSON, with every placeholder but {to_digits} within quotes",
    ),
    ("body = 'to={to}&text={text}'", "", "body", "must be JSON"),
    ("body_type = \"form\"\nbody = 'to={to}&text=your code {text}'", "", "body", "percent-encoded"),
    ("body = '{\"to\": \"{to}\"}'", "", "body", "must contain {text}"),
    ("body_type = \"form\"\nbody = 'text={text}'", "", "body", "must contain {to} or {to_digits}"),
    ("body = 7", "", "body", "not a number"),
    ("basic = { user = \"a\", password = \"CANARY\" }", "", "basic", "not allowed together with bearer"),
    (
        "headers = { Authorization = \"CANARY\" }",
        "",
        "headers.Authorization",
        "not allowed together with bearer or basic",
    ),
    ("headers = { Host = \"x\" }", "", "headers.Host", "set by the HTTP client"),
    ("headers = { \"X Key\" = \"x\" }", "", "headers.X Key", "name of an HTTP header"),
    ("headers = { X-Key = \"CANARY\\n\" }", "", "headers.X-Key", "visible ASCII"),
    ("headers = [\"X-Key\"]", "", "headers", "a table"),
    // The answer.
    ("accepted = [\"2x\"]", "", "accepted[0]", "such as \"2xx\""),
    ("accepted = [\"1xx\"]", "", "accepted[0]", "\"200\" to \"599\""),
    ("retry = [429]", "", "retry[0]", "not a number"),
    ("retry = \"429\"", "", "retry", "a list"),
    ("refused = [\"409\"]\nretry = [\"5xx\", \"409\"]", "", "retry[1]", "is in refused too"),
    ("error_pointer = \"code\"", "", "error_pointer", "JSON pointer"),
    // Reports.
    ("", "scheme = \"none\"", "report.scheme", "\"hmac\" or \"basic\" or \"path-secret\""),
    ("", "scheme = \"path_secret\"", "report.scheme", "did you mean \"path-secret\"?"),
    ("", "secret = \"CANARY\"", "report.secret", "unknown key"),
    ("", "report_secret = \"CANARY-of-the-reports\"", "report.report_secret", "is in [channels.NAME] too"),
    ("", "header = \"X Sig\"", "report.header", "name of an HTTP header"),
    ("", "hash = \"md5\"", "report.hash", "\"sha1\" or \"sha256\" or \"sha512\""),
    ("", "encoding = \"base32\"", "report.encoding", "did you mean \"base64\"?"),
    ("", "prefix = \"a\\nb\"", "report.prefix", "visible ASCII"),
    (
        "",
        "signed = \"{timestamp}.{bdy}\"\ntimestamp_header = \"X-T\"",
        "report.signed",
        "did you mean \"{body}\"?",
    ),
    ("", "signed = \"{timestamp}\"\ntimestamp_header = \"X-T\"", "report.signed", "with {body} in it"),
    ("", "signed = \"{timestamp}.{body}\"", "report.timestamp_header", "missing"),
    ("", "tolerance = \"1m\"", "report.tolerance", "requires timestamp_header"),
    (
        "",
        "timestamp_header = \"X-T\"\nsigned = \"{timestamp}{body}\"\ntolerance = \"2d\"",
        "report.tolerance",
        "\"1s\" to \"1d\"",
    ),
    ("", "user = \"a\"", "report.user", "only for scheme = \"basic\""),
    ("", "scheme = \"path-secret\"\nhash = \"sha1\"", "report.hash", "only for scheme = \"hmac\""),
    ("", "scheme = \"basic\"\npassword = \"CANARY\"", "report.user", "missing"),
    ("", "scheme = \"basic\"\nuser = \"a:b\"\npassword = \"CANARY\"", "report.user", "without a colon"),
    ("", "scheme = \"basic\"\nuser = \"a\"", "report.password", "missing"),
    ("", "format = \"xml\"", "report.format", "\"json\" or \"form\" or \"query\""),
    ("", "status = \"\"", "report.status", "must not be empty"),
    ("", "status = \"/a~2\"", "report.status", "JSON pointer"),
    ("", "format = \"form\"\nid = \"/~i\"", "report.id", "a field name"),
    (
        "",
        "words = { DELIVRD = \"arrived\" }",
        "report.words.DELIVRD",
        "\"delivered\" or \"failed\" or \"sent\" or \"read\"",
    ),
    ("", "words = { DONE = \"delivered\", done = \"failed\" }", "report.words.done", "conflicts"),
];

#[test]
fn each_invalid_key_is_reported_once_with_allowed_values() {
    for (keys, report, key, says) in WRONG {
        let report =
            if report.is_empty() { String::new() } else { format!("[channels.sms.report]\n{report}") };
        check(&channel(&format!("{GOOD}\n{keys}"), &report), key, says);
    }
    let whole: [(&str, &str, &str); 7] = [
        ("bearer = \"CANARY\"\nreport_secret = \"CANARY-of-the-reports\"", "from", "missing"),
        ("from = \"A\"\nbearer = \"CANARY\"", "report_secret", "missing"),
        ("from = \"A\"\nbearer = \"CANARY\"\nreport = { scheme = \"hmac\" }", "report_secret", "missing"),
        ("from = \"A\"\nreport = { scheme = \"path-secret\" }", "report_secret", "missing"),
        (
            "from = \"A\"\nreport = { scheme = \"path-secret\", report_secret = \"CANARY\" }",
            "report.report_secret",
            "at least 16 bytes",
        ),
        (
            "from = \"A\"\nbasic = { user = \"a\" }\nreport_secret = \"CANARY-of-the-reports\"",
            "basic.password",
            "missing",
        ),
        (
            "from = \"A\"\nbody = { env = \"NOT_THERE\" }\nreport_secret = \"CANARY-of-the-reports\"",
            "body",
            "is not set",
        ),
    ];
    for (keys, key, says) in whole {
        check(&channel(keys, ""), key, says);
    }
    for (url, says) in [
        ("https://sms.example.com/{to}/send", "only after the ?"),
        ("https://sms.example.com/send?to={number}", "unknown placeholder {number}"),
        ("https://sms.example.com/send?text=your code", "percent-encoded"),
    ] {
        check(&channel(GOOD, "").replace("https://sms.example.com/send", url), "url", says);
    }
}

fn check(text: &str, key: &str, says: &str) {
    let problems = parse(text).expect_err(text);
    let found: Vec<_> = problems.iter().collect();
    let [problem] = found[..] else { panic!("{text}\none problem with {key} was wanted, got\n{problems}") };
    assert_eq!(problem.key, format!("channels.sms.{key}"), "{text}\n{problem}");
    assert!(problem.text.contains(says), "{text}\n{problem}");
    assert!(!problem.to_string().contains("CANARY"), "{problem}");
}

/// `from` is optional if the request has no placeholder for it.
#[test]
fn a_sender_is_required_if_it_is_sent() {
    let keys = "bearer = \"CANARY\"\nreport_secret = \"CANARY-of-the-reports\"\nbody_type = \"query\"";
    let url = "https://sms.example.com/send?to={to_digits}&text={text}";
    let settings = read(&channel(keys, "").replace("https://sms.example.com/send", url));
    assert_eq!(
        (settings.from.as_str(), settings.method, settings.body.is_none()),
        ("", SendMethod::Get, true)
    );
}
