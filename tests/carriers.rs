//! Twelve fictional carriers with protocols as found in practice, as channels of one real server that differ only in
//! their configuration. Each receives a code, answers and reports in its own way. An unauthenticated report changes
//! nothing.

mod support;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use support::{KEY, Server, http_client};
use twotick::clock::{Clock, Stopwatch};
use wiremock::matchers::path_regex;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const NUMBER: &str = "+12025550100";
const SECRET: &str = "secret of the carrier's reports";
const PATIENCE: Duration = Duration::from_secs(20);

struct Carrier {
    name: &'static str,
    /// Keys other than `kind` and `url`.
    keys: &'static str,
    /// Appended to the URL.
    query: &'static str,
    /// Its answers; the last one repeats.
    answers: &'static [(u16, &'static [u8])],
    asked: fn(&Request, &Asked),
    /// State of the message after its answer, and the carrier's id.
    accepted_as: (&'static str, Option<&'static str>),
    reports: &'static [Report],
}

/// Required content of a request.
struct Asked {
    reference: String,
    text: String,
}

/// `{id}` is the carrier's id, `{ref}` ours, `{now}` the time.
struct Report {
    method: Method,
    query: &'static str,
    body: &'static [u8],
    proof: Proof,
    /// State of the message after the report.
    state: &'static str,
}

#[derive(Clone, Copy)]
enum Proof {
    /// Header and prefix.
    Sha256(&'static str, &'static str),
    Sha1(&'static str),
    Sha512Base64(&'static str),
    /// Over time, a dot and the body.
    Timed,
    Basic,
    /// Knowing the callback address.
    Callback,
}

const POST: Method = Method::POST;
const GET: Method = Method::GET;
const DOCUMENTED: Proof = Proof::Sha256("x-signature-256", "sha256=");

fn form(request: &Request) -> Vec<(String, String)> {
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    form_urlencoded::parse(&request.body).into_owned().collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

const CARRIERS: [Carrier; 12] = [
    Carrier {
        name: "documented",
        keys: "from = \"Acme\"\nbearer = \"token\"\nreport_secret = \"{secret}\"",
        query: "",
        answers: &[(201, b"{\"id\":\"a-1\"}")],
        asked: |request, asked| {
            assert_eq!(request.headers["authorization"], "Bearer token");
            let expected = json!({ "to": NUMBER, "from": "Acme", "text": asked.text, "reference": asked.reference });
            assert_eq!(request.body_json::<Value>().unwrap(), expected);
        },
        accepted_as: ("accepted", Some("a-1")),
        reports: &[
            Report { method: POST, query: "", body: br#"{"id":"{id}","status":"sent"}"#, proof: DOCUMENTED, state: "sent" },
            Report { method: POST, query: "", body: br#"{"reference":"{ref}","status":"delivered"}"#, proof: DOCUMENTED, state: "delivered" },
        ],
    },
    // Form request, text answer, form reports with SMPP words.
    Carrier {
        name: "form-text",
        keys: "from = \"L\u{e4}den & Co\"\nbasic = { user = \"acme\", password = \"pass:word\" }\nbody_type = \"form\"\n\
               body = '''\n  user_key=k%2B1&dest={to_digits}&\n  source={from}&msg={text}&ref={reference}\n'''\n\
               [channels.form-text.report]\nscheme = \"basic\"\nuser = \"carrier\"\npassword = \"{secret}\"\nformat = \"form\"\n\
               id = \"ID\"\nstatus = \"stat\"\nerror_code = \"err\"\nat = \"\"",
        query: "",
        answers: &[(200, b"ID: 123\r\n")],
        asked: |request, asked| {
            assert_eq!(request.headers["authorization"], basic("acme", "pass:word").as_str());
            let expected = [
                ("user_key", "k+1"),
                ("dest", &NUMBER[1..]),
                ("source", "L\u{e4}den & Co"),
                ("msg", &asked.text),
                ("ref", &asked.reference),
            ];
            assert_eq!(form(request), pairs(&expected));
        },
        accepted_as: ("accepted", Some("123")),
        reports: &[
            Report { method: POST, query: "", body: b"ID={id}&stat=ENROUTE", proof: Proof::Basic, state: "sent" },
            Report { method: POST, query: "", body: b"ID={id}&stat=DELIVRD&err=000", proof: Proof::Basic, state: "delivered" },
        ],
    },
    // GET only, key in the URL, `OK` without an id, reports by GET with numeric statuses.
    Carrier {
        name: "all-by-get",
        keys: "from = \"Acme\"\nbody_type = \"query\"\n[channels.all-by-get.report]\nscheme = \"path-secret\"\n\
               report_secret = \"{secret}\"\nformat = \"query\"\nstatus = \"dlr\"\nid = \"\"\nreference = \"\"\n\
               words = { 8 = \"sent\", 1 = \"delivered\", 2 = \"failed\" }",
        query: "?key=a%20b&to={to}&from={from}&text={text}&dlr-url={callback}",
        answers: &[(200, b"OK")],
        asked: |request, asked| {
            assert_eq!((request.method.as_str(), &request.body[..]), ("GET", &b""[..]));
            let query: Vec<_> = request.url.query_pairs().into_owned().collect();
            assert_eq!(query[..4], pairs(&[("key", "a b"), ("to", NUMBER), ("from", "Acme"), ("text", &asked.text)]));
            assert!(query[4].1.ends_with(&format!("?message={}", asked.reference)), "{}", query[4].1);
        },
        accepted_as: ("accepted", None),
        reports: &[
            Report { method: GET, query: "&dlr=8", body: b"", proof: Proof::Callback, state: "sent" },
            Report { method: GET, query: "&dlr=1", body: b"", proof: Proof::Callback, state: "delivered" },
        ],
    },
    // Key in a header, 204 without a body, base64 signatures.
    Carrier {
        name: "no-content",
        keys: "from = \"Acme\"\nmethod = \"PUT\"\nheaders = { X-Api-Key = \"key of Acme\", Accept = \"*/*\" }\n\
               [channels.no-content.report]\nreport_secret = \"{secret}\"\nheader = \"X-Carrier-Mac\"\nhash = \"sha512\"\n\
               encoding = \"base64\"\nprefix = \"\"\nid = \"\"\nreference = \"client_ref\"",
        query: "",
        answers: &[(204, b"")],
        asked: |request, asked| {
            assert_eq!((request.method.as_str(), request.headers["x-api-key"].to_str().unwrap()), ("PUT", "key of Acme"));
            assert_eq!(request.body_json::<Value>().unwrap()["reference"], asked.reference);
            assert!(!request.headers.contains_key("authorization"));
        },
        accepted_as: ("accepted", None),
        reports: &[Report {
            method: POST,
            query: "",
            body: br#"{"client_ref":"{ref}","status":"DELIVERED_TO_HANDSET"}"#,
            proof: Proof::Sha512Base64("x-carrier-mac"),
            state: "delivered",
        }],
    },
    // XML answer, form reports signed with SHA-1 without a prefix.
    Carrier {
        name: "xml",
        keys: "from = \"Acme\"\nbearer = \"token\"\nbody_type = \"form\"\nid_pointer = \"/response/messageId\"\n\
               [channels.xml.report]\nreport_secret = \"{secret}\"\nheader = \"X-Sha1\"\nhash = \"sha1\"\nformat = \"form\"\n\
               id = \"messageId\"\nreference = \"\"",
        query: "",
        answers: &[(200, b"<?xml version=\"1.0\"?>\n<response><code>0</code><messageId>77</messageId></response>")],
        asked: |request, asked| {
            let expected = [("to", NUMBER), ("from", "Acme"), ("text", &asked.text), ("reference", &asked.reference)];
            assert_eq!(form(request), pairs(&expected));
        },
        accepted_as: ("accepted", Some("77")),
        reports: &[Report {
            method: POST,
            query: "",
            body: b"messageId={id}&status=EXPIRED",
            proof: Proof::Sha1("x-sha1"),
            state: "failed",
        }],
    },
    // Latin-1 in both directions.
    Carrier {
        name: "latin-1",
        keys: "from = \"Acme\"\nbearer = \"token\"\n[channels.latin-1.report]\nreport_secret = \"{secret}\"",
        query: "",
        answers: &[(200, b"{\"id\":\"L-1\",\"an\":\"M\xfcller\"}")],
        asked: |request, asked| assert_eq!(request.body_json::<Value>().unwrap()["text"], asked.text),
        accepted_as: ("accepted", Some("L-1")),
        reports: &[Report {
            method: POST,
            query: "",
            body: b"{\"id\":\"{id}\",\"status\":\"UNDELIV\",\"error\":{\"code\":5,\"title\":\"Empf\xe4nger weg\"}}",
            proof: DOCUMENTED,
            state: "failed",
        }],
    },
    // Nested JSON, an unquoted number, lists of reports, a signed timestamp.
    Carrier {
        name: "nested",
        keys: "from = \"Acme\"\nbearer = \"token\"\nid_pointer = \"/messages/0/id\"\n\
               body = '{\"messages\": [{\"to\": [{to_digits}], \"sms\": {\"text\": \"{text}\", \"sender\": \"{from}\"}, \"notify\": \"{callback}\"}]}'\n\
               [channels.nested.report]\nreport_secret = \"{secret}\"\nheader = \"X-Sig\"\nprefix = \"v1=\"\n\
               signed = \"{timestamp}.{body}\"\ntimestamp_header = \"X-Time\"\ntolerance = \"2m\"\n\
               id = \"/results/0/messageId\"\nreference = \"\"\nstatus = \"/results/0/status/name\"\n\
               error_code = \"/results/0/error/id\"\nat = \"/results/0/doneAt\"",
        query: "",
        answers: &[(200, b"{\"messages\":[{\"id\":\"n-1\",\"status\":{\"name\":\"PENDING_ACCEPTED\"}}]}")],
        asked: |request, asked| {
            let body: Value = request.body_json().unwrap();
            let message = &body["messages"][0];
            assert_eq!(message["to"], json!([12_025_550_100_u64]));
            assert_eq!(message["sms"], json!({ "text": asked.text, "sender": "Acme" }));
            assert!(message["notify"].as_str().unwrap().ends_with(&asked.reference));
        },
        accepted_as: ("accepted", Some("n-1")),
        reports: &[Report {
            method: POST,
            query: "",
            body: br#"{"results":[{"messageId":"other","status":{"name":"DELIVERED"}},{"messageId":"{id}","status":{"name":"DELIVERED_TO_HANDSET"}}]}"#,
            proof: Proof::Timed,
            state: "delivered",
        }],
    },
    // An error in a 200 response.
    Carrier {
        name: "error-in-200",
        keys: "from = \"Acme\"\nbearer = \"token\"\nerror_pointer = \"/error/code\"\nreport_secret = \"{secret}\"",
        query: "",
        answers: &[(200, b"{\"error\":{\"code\":\"E12\",\"message\":\"Unknown destination\"}}")],
        asked: |_, _| {},
        accepted_as: ("failed", None),
        reports: &[],
    },
    // 409 for a duplicate, 500 for a refusal, and its own word for a failure.
    Carrier {
        name: "own-statuses",
        keys: "from = \"Acme\"\nbearer = \"token\"\naccepted = [\"409\"]\nrefused = [\"5xx\"]\n\
               [channels.own-statuses.report]\nreport_secret = \"{secret}\"\nwords = { \"not at home\" = \"failed\" }",
        query: "",
        answers: &[(409, b"{\"id\":\"o-1\"}")],
        asked: |_, _| {},
        accepted_as: ("accepted", Some("o-1")),
        reports: &[Report {
            method: POST,
            query: "",
            body: br#"{"id":"{id}","status":"NOT_AT_HOME"}"#,
            proof: DOCUMENTED,
            state: "failed",
        }],
    },
    // Temporarily busy, with its own status.
    Carrier {
        name: "busy",
        keys: "from = \"Acme\"\nbearer = \"token\"\nretry = [\"420\"]\nreport_secret = \"{secret}\"",
        query: "",
        answers: &[(420, b"calm down"), (200, b"{\"id\":\"b-1\"}")],
        asked: |_, _| {},
        accepted_as: ("accepted", Some("b-1")),
        reports: &[Report { method: POST, query: "", body: br#"{"id":"{id}","status":"read"}"#, proof: DOCUMENTED, state: "read" }],
    },
    // HTML answer, reports by GET with a password.
    Carrier {
        name: "page",
        keys: "from = \"Acme\"\nbearer = \"token\"\n[channels.page.report]\nscheme = \"basic\"\nuser = \"carrier\"\n\
               password = \"{secret}\"\nformat = \"query\"\nreference = \"ref\"",
        query: "?account=7",
        answers: &[(200, b"<!DOCTYPE html><html><body id=\"main\"><div id=\"x\">Sent</div></body></html>")],
        asked: |request, _| assert_eq!(request.url.query(), Some("account=7")),
        accepted_as: ("accepted", None),
        reports: &[Report { method: GET, query: "&ref={ref}&status=REJECTD", body: b"", proof: Proof::Basic, state: "failed" }],
    },
    // Key-value answer, an unknown status word, then a known one.
    Carrier {
        name: "pairs",
        keys: "from = \"Acme\"\nbearer = \"token\"\nid_pointer = \"/msgid\"\nerror_pointer = \"/status\"\nreport_secret = \"{secret}\"",
        query: "",
        answers: &[(200, b"status=0&msgid=9f-2&credits=4")],
        asked: |_, _| {},
        accepted_as: ("accepted", Some("9f-2")),
        reports: &[
            Report { method: POST, query: "", body: br#"{"id":"{id}","status":"Fizzed"}"#, proof: DOCUMENTED, state: "accepted" },
            Report { method: POST, query: "", body: br#"{"id":"{id}","status":"delivered"}"#, proof: DOCUMENTED, state: "delivered" },
        ],
    },
];

fn config(carriers: &str, folder: &std::path::Path) -> String {
    let (data, key) = (folder.join("data"), folder.join("master.key"));
    let channels = CARRIERS.iter().map(|Carrier { name, keys, query, .. }| {
        let keys = keys.replace("{secret}", SECRET);
        format!(
            "[channels.{name}]\nkind = \"http\"\nurl = \"{carriers}/{name}/send{query}\"\n{keys}\n\
             [profiles.{name}]\nbrand = \"Acme\"\nsteps = [{{ channel = \"{name}\", text = \"otp\" }}]\n"
        )
    });
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[store]\npath = {data:?}\n\
         [keys]\nmaster = {{ file = {key:?} }}\n[[apps]]\nname = \"shop\"\napi_keys = [\"{KEY}\"]\n\
         [texts.otp]\nen = \"{{code}} \\\"is\\\" your + {{brand}} c\u{f6}de & more.\"\n{}",
        channels.collect::<String>()
    )
}

struct World {
    server: Server,
    carriers: MockServer,
    client: Client,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let carriers = MockServer::start().await;
        for carrier in &CARRIERS {
            let path = format!("^/{}/send$", carrier.name);
            let (last, first) = carrier.answers.split_last().unwrap();
            for (status, body) in first {
                let answer =
                    ResponseTemplate::new(*status).insert_header("retry-after", "0").set_body_bytes(*body);
                let mock = Mock::given(path_regex(&path)).respond_with(answer).up_to_n_times(1);
                mock.mount(&carriers).await;
            }
            let answer = ResponseTemplate::new(last.0).set_body_bytes(last.1);
            Mock::given(path_regex(&path)).respond_with(answer).mount(&carriers).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&config(&carriers.uri(), folder.path()), folder.path());
        Self { server, carriers, client: http_client(), _folder: folder }
    }

    async fn create(&self, profile: &str) -> String {
        let request = self.client.post(format!("{}/v1/verifications", self.server.url())).bearer_auth(KEY);
        let body = json!({ "to": NUMBER, "profile": profile }).to_string();
        let response = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED, "{profile}");
        let created: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        created["id"].as_str().unwrap().to_owned()
    }

    async fn get(&self, path: &str, known: Option<&str>) -> Value {
        let request =
            self.client.get(format!("{}/v1/verifications/{path}", self.server.url())).bearer_auth(KEY);
        let request = known.iter().fold(request, |request, etag| request.header("if-none-match", *etag));
        let response = request.send().await.unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default()
    }

    /// Waits until the message is in this state.
    async fn message(&self, id: &str, state: &str) -> Value {
        let start = Stopwatch::start();
        let mut now = self.get(id, None).await;
        while now["messages"][0]["state"] != state {
            assert!(start.elapsed() < PATIENCE, "never {state}: {now}");
            let known = format!("\"{}\"", now["version"]);
            let newer = self.get(&format!("{id}?wait=5"), Some(&known)).await;
            now = if newer.is_null() { now } else { newer };
        }
        now["messages"][0].clone()
    }

    async fn asked(&self, carrier: &str) -> Vec<Request> {
        let requests = self.carriers.received_requests().await.unwrap();
        requests.into_iter().filter(|one| one.url.path() == format!("/{carrier}/send")).collect()
    }

    /// Posts a report; `proved` tells whether it is authenticated.
    async fn report(
        &self,
        carrier: &str,
        report: &Report,
        message: &Value,
        callback: &str,
        proved: Proved,
    ) -> StatusCode {
        let fill = |text: &[u8]| -> Vec<u8> {
            let mut filled = text.to_vec();
            for (name, key) in [("{id}", "provider_ref"), ("{ref}", "id")] {
                let value = message[key].as_str().unwrap_or_default().as_bytes();
                while let Some(at) = filled.windows(name.len()).position(|window| window == name.as_bytes()) {
                    filled.splice(at..at + name.len(), value.iter().copied());
                }
            }
            filled
        };
        let body = fill(report.body);
        let query = String::from_utf8(fill(report.query.as_bytes())).unwrap();
        let address = match (report.proof, proved) {
            (Proof::Callback, Proved::Rightly) => callback.to_owned(),
            (Proof::Callback, Proved::Wrongly) => callback.replace("?message", "x?message"),
            (Proof::Callback, Proved::Not) | (_, _) => format!(
                "{}/webhooks/{carrier}?message={}",
                self.server.url(),
                message["id"].as_str().unwrap()
            ),
        };
        let address = address.replace("http://127.0.0.1:8080", &self.server.url());
        let secret = match proved {
            Proved::Rightly => SECRET,
            Proved::Wrongly | Proved::Not => "another secret of 16 bytes",
        };
        let mut request =
            self.client.request(report.method.clone(), format!("{address}{query}")).body(body.clone());
        if proved != Proved::Not {
            for (name, value) in headers(report.proof, secret, &body) {
                request = request.header(name, value);
            }
        }
        let response = request.send().await.unwrap();
        if response.status() == StatusCode::UNAUTHORIZED {
            let scheme = if matches!(report.proof, Proof::Basic) { "Basic" } else { "Signature" };
            let challenge = format!("{scheme} realm=\"twotick\"");
            assert_eq!(response.headers()["www-authenticate"], challenge.as_str(), "{carrier}");
        }
        response.status()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Proved {
    Rightly,
    Wrongly,
    Not,
}

fn headers(proof: Proof, secret: &str, body: &[u8]) -> Vec<(&'static str, String)> {
    fn mac<M: KeyInit + Mac>(secret: &str, content: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(content);
        mac.finalize().into_bytes().to_vec()
    }
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match proof {
        Proof::Sha256(header, prefix) => {
            vec![(header, format!("{prefix}{}", hex(mac::<Hmac<sha2::Sha256>>(secret, body))))]
        }
        Proof::Sha1(header) => vec![(header, hex(mac::<Hmac<sha1::Sha1>>(secret, body)))],
        Proof::Sha512Base64(header) => {
            vec![(header, BASE64_STANDARD.encode(mac::<Hmac<sha2::Sha512>>(secret, body)))]
        }
        Proof::Timed => {
            let time = (Clock::System.now().as_millis() / 1_000).to_string();
            let content = [time.as_bytes(), b".", body].concat();
            vec![
                ("x-sig", format!("v1={}", hex(mac::<Hmac<sha2::Sha256>>(secret, &content)))),
                ("x-time", time),
            ]
        }
        Proof::Basic => vec![("authorization", basic("carrier", secret))],
        Proof::Callback => Vec::new(),
    }
}

/// The code anywhere in a request.
fn code(request: &Request) -> String {
    let all = format!("{}\n{}", request.url, String::from_utf8_lossy(&request.body));
    let plain = percent_encoding::percent_decode_str(&all).decode_utf8_lossy().into_owned();
    let runs = plain.split(|letter: char| !letter.is_ascii_alphanumeric());
    let mut codes = runs.filter(|run| run.len() == 6 && run.bytes().all(|byte| byte.is_ascii_digit()));
    codes.next().expect("a code").to_owned()
}

/// The callback address anywhere in a request.
fn callback(request: &Request) -> String {
    let in_query =
        request.url.query_pairs().find(|(name, _)| name == "dlr-url").map(|(_, url)| url.into_owned());
    in_query.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_carriers_protocol_is_followed() {
    let world = World::new().await;
    for carrier in &CARRIERS {
        let name = carrier.name;
        let id = world.create(name).await;
        let (state, provider_ref) = carrier.accepted_as;
        let message = world.message(&id, state).await;
        assert_eq!(message["provider_ref"].as_str(), provider_ref, "{name}: {message}");
        let asked = world.asked(name).await;
        assert_eq!(asked.len(), carrier.answers.len(), "{name}: one request for each answer");
        let code = code(&asked[0]);
        let text = format!("{code} \"is\" your + Acme c\u{f6}de & more.");
        let reference = message["id"].as_str().unwrap().to_owned();
        println!("{name}");
        (carrier.asked)(&asked[0], &Asked { reference, text });
        let callback = callback(&asked[0]);
        let mut state = state;
        for report in carrier.reports {
            for proved in [Proved::Not, Proved::Wrongly] {
                let status = world.report(name, report, &message, &callback, proved).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}");
                assert_eq!(world.get(&id, None).await["messages"][0]["state"], state, "{name}");
            }
            // A replay is authenticated too, and changes nothing.
            for _ in 0..2 {
                let status = world.report(name, report, &message, &callback, Proved::Rightly).await;
                assert_eq!(status, StatusCode::OK, "{name}");
                assert_eq!(world.get(&id, None).await["messages"][0]["state"], report.state, "{name}");
            }
            state = report.state;
        }
        assert_eq!(world.asked(name).await.len(), carrier.answers.len(), "{name}: nothing was sent again");
    }
    let log = world.server.log.lock().unwrap().clone();
    for secret in [SECRET, "pass:word", "key of Acme", "secret%20of", &NUMBER[1..]] {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
}

/// Errors and unknown words are shown in the carrier's terms.
#[tokio::test(flavor = "multi_thread")]
async fn a_carriers_failure_reason_is_in_the_timeline() {
    let world = World::new().await;
    for (name, code, title) in [
        ("error-in-200", "E12", "Unknown destination (E12)"),
        ("latin-1", "5", "Empf\u{e4}nger weg"),
        ("xml", "no_reason", "the carrier reported EXPIRED and gave no reason"),
    ] {
        let carrier = CARRIERS.iter().find(|carrier| carrier.name == name).unwrap();
        let id = world.create(name).await;
        let message = world.message(&id, carrier.accepted_as.0).await;
        for report in carrier.reports {
            world.report(name, report, &message, "", Proved::Rightly).await;
        }
        let error = world.message(&id, "failed").await["error"].clone();
        assert_eq!(error, json!({ "code": code, "title": title, "class": "fallback" }), "{name}");
    }
    let id = world.create("pairs").await;
    let message = world.message(&id, "accepted").await;
    let carrier = CARRIERS.iter().find(|carrier| carrier.name == "pairs").unwrap();
    world.report("pairs", &carrier.reports[0], &message, "", Proved::Rightly).await;
    let timeline = world.get(&format!("{id}/timeline"), None).await;
    let types: Vec<_> = timeline["events"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert!(types.contains(&&json!("status_unknown")), "{types:?}");
    assert!(timeline.to_string().contains("Fizzed"), "{timeline}");
}
