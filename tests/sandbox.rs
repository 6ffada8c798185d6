//! The sandbox over real HTTP: answers, reports and handsets.

use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc;
use twotick::channel::webhook::{self, Callback, Incoming};
use twotick::channel::{self, Basis, Content, Settings, Submission, Timeouts, twilio};
use twotick::sandbox::{self, Channel, Options, Outcome, Sandbox};
use twotick::verification::values::{ChannelName, Outcome as SendOutcome, ReportStatus, Timestamp};

const APP_SECRET: &str = "the app secret of this test";
const REPORT_SECRET: &str = "the report secret of this test";
const PACE: Duration = Duration::from_millis(5);
/// Events arrive within milliseconds; this bound only ends a hanging test.
const PATIENCE: Duration = Duration::from_secs(20);

// ── scenarios ─────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn each_number_plays_its_scenario() {
    let mut world = World::start().await;
    let rows: [(&str, &[&str]); 11] = [
        ("00", &["sent", "delivered", "read"]),
        ("01", &["sent"]),
        ("02", &["failed"]),
        ("04", &["delivered", "sent", "delivered", "sent", "read"]),
        ("05", &["read"]),
        ("06", &["sent", "delivered"]),
        ("09", &["failed"]),
        ("10", &["sent", "delivered", "disowned"]),
        ("11", &["sent", "delivered", "read"]),
        ("12", &["sent", "delivered", "read"]),
        ("99", &["sent", "delivered", "read"]),
    ];
    for (ending, statuses) in rows {
        let to = format!("+120255501{ending}");
        let answer = world.send(&template(&to, "493817", "msg_a")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{ending}");
        let answer: Value = json_of(answer).await;
        let wamid = answer["messages"][0]["id"].as_str().expect("an id").to_owned();
        assert!(wamid.starts_with("wamid.") && answer["contacts"][0]["input"] == to, "{ending}: {answer}");

        for status in statuses {
            let webhook = world.webhook().await;
            assert_eq!(webhook.kind(), *status, "{ending}: {}", webhook.body);
            assert_eq!(webhook.message_id(), wamid, "{ending}");
        }
        world.is_quiet(ending);
        let arrives = statuses.contains(&"delivered") || statuses.contains(&"read");
        assert_eq!(world.sandbox.handset(&to).len(), usize::from(arrives), "{ending}");
    }
}

#[tokio::test]
async fn a_refused_number_gets_metas_error_without_a_webhook() {
    let mut world = World::start().await;
    let answer = world.send(&template("+12025550103", "493817", "msg_a")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let answer: Value = json_of(answer).await;
    assert_eq!(answer["error"]["code"], 131026);
    assert_eq!(answer["error"]["type"], "OAuthException");
    assert_eq!(answer["error"]["error_data"]["messaging_product"], "whatsapp");
    assert!(answer["error"]["fbtrace_id"].as_str().is_some_and(|id| id.len() > 10));
    world.is_quiet("103");
    assert_eq!(world.sandbox.journal()[0].outcome, Outcome::Refused);
}

#[tokio::test]
async fn two_outages_precede_success_repeatedly() {
    let mut world = World::start().await;
    for round in 0..2 {
        for _ in 0..2 {
            let answer = world.send(&template("+12025550107", "493817", "msg_a")).await;
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "round {round}");
            assert_eq!(json_of(answer).await["error"]["code"], 131016);
        }
        let answer = world.send(&template("+12025550107", "493817", "msg_a")).await;
        assert_eq!(answer.status(), StatusCode::OK, "round {round}");
        assert_eq!(world.webhook().await.kind(), "sent");
        assert_eq!(world.webhook().await.kind(), "delivered");
    }
    let outcomes: Vec<Outcome> = world.sandbox.journal().iter().map(|request| request.outcome).collect();
    let round = [Outcome::Unavailable, Outcome::Unavailable, Outcome::Accepted];
    assert_eq!(outcomes, [round, round].concat());
}

#[tokio::test]
async fn a_truncated_answer_is_followed_by_statuses_with_our_id() {
    let mut world = World::start().await;
    let request = world.post("/v25.0/1063/messages", template("+12025550108", "493817", "msg_cut"));
    let heard = match request.send().await {
        Ok(answer) => answer.bytes().await,
        Err(error) => Err(error),
    };
    assert!(heard.is_err(), "the answer must not arrive whole");
    for status in ["sent", "delivered"] {
        let webhook = world.webhook().await;
        assert_eq!(webhook.kind(), status);
        assert_eq!(webhook.status()["biz_opaque_callback_data"], "msg_cut");
        assert_eq!(webhook.value()["metadata"]["phone_number_id"], "1063");
    }
    let journal = world.sandbox.journal();
    assert_eq!(journal.len(), 1, "the client must not have sent it twice");
    assert_eq!(journal[0].outcome, Outcome::Unheard);
    assert_eq!(journal[0].reference.as_deref(), Some("msg_cut"));
}

/// Our own channel sends by the sandbox's Twilio API and accepts its reports.
#[tokio::test]
async fn twilio_sends_and_reports_to_the_address_of_the_message() {
    let mut world = World::start().await;
    for (to, via, content, end) in [
        ("+12025550100", twilio::Via::Sms, Content::Text("493817 is your Acme code."), "delivered"),
        ("+12025550109", twilio::Via::Rcs, Content::Text("493817 is your Acme code."), "30003"),
        ("+12025550111", twilio::Via::WhatsApp, Content::ById("HX00"), "delivered"),
    ] {
        let channel = of_twilio(&world.sandbox.url(), via);
        let reference = "msg_01m81zrq00fay80j6hb7h45br1".parse().expect("an id");
        let sent = channel
            .send(&Submission { reference, to, code: "493817", valid_for: Duration::from_secs(600), content })
            .await;
        let SendOutcome::Accepted { provider_ref } = sent.outcome else { panic!("{to}: {:?}", sent.outcome) };
        for expected in ["sent", end] {
            let received = tokio::time::timeout(PATIENCE, world.hook.received.recv()).await;
            let Webhook { path, query, signature, body, .. } = received.expect("in time").expect("a report");
            assert_eq!(path, "/webhooks/twilio");
            let heard = channel.receive(&webhook::Webhook {
                method: webhook::Method::Post,
                callback: channel.callback(),
                path: None,
                query: Some(&query),
                headers: &[(twilio::SIGNATURE, signature.as_bytes())],
                body: body.as_bytes(),
                now: Timestamp::from_millis(0),
            });
            let Ok(Incoming::Delivery(told)) = heard else { panic!("{to}: {heard:?}") };
            let report = &told.own.reports[0];
            assert_eq!((report.reference, &report.provider_ref), (Some(reference), &provider_ref));
            let status = match &report.status {
                ReportStatus::Sent => "sent",
                ReportStatus::Delivered => "delivered",
                ReportStatus::Failed(error) => error.code.as_str(),
                other => panic!("{to}: {other:?}"),
            };
            assert_eq!(status, expected, "{to}");
        }
        let codes: Vec<_> = world.sandbox.handset(to).into_iter().map(|entry| entry.code).collect();
        assert_eq!(codes, if end == "delivered" { vec![Some("493817".to_owned())] } else { vec![] }, "{to}");
    }
    world.is_quiet("twilio");
}

fn of_twilio(url: &str, via: twilio::Via) -> std::sync::Arc<channel::Channel> {
    let name = ChannelName::new("twilio");
    let settings = Settings::Twilio(twilio::Settings {
        base_url: url.to_owned(),
        account_sid: "AC00".to_owned(),
        auth_tokens: vec!["the token of this test".into()],
        api_key: None,
        sender: twilio::Sender::From("Acme".to_owned()),
        via,
        content_sids: (via == twilio::Via::WhatsApp).then(|| [("en".to_owned(), "HX00".to_owned())].into()),
    });
    let timeouts = Timeouts { connect: PATIENCE, whole: PATIENCE };
    let basis = Basis { callback: Callback::new("https://otp.example.com", &name), name, timeouts };
    let mut channels = channel::all([(basis, settings)]).expect("settings that are right");
    channels.pop_first().expect("one channel").1
}

#[tokio::test]
async fn twilio_refuses_invalid_messages() {
    let world = World::start().await;
    let post = |body: &'static str| {
        let request = world.client.post(world.url("/2010-04-01/Accounts/AC00/Messages.json"));
        request.header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    assert_eq!(json_of(post("To=%2B12025550100").send().await.expect("an answer")).await["code"], 20003);
    for (body, code) in [
        ("From=a&Body=b", 21604),
        ("To=x&From=a&Body=b", 21211),
        ("To=%2B12025550100&Body=b", 21603),
        ("To=%2B12025550100&From=a", 21602),
        ("To=%2B12025550100&From=a&Body=b&ContentSid=HX", 21664),
        ("To=%2B12025550100&From=a&ContentSid=HX", 21656),
        ("To=%2B12025550100&From=a&Body=b&StatusCallback=x", 21609),
    ] {
        let answer = post(body).basic_auth("AC00", Some("token")).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(json_of(answer).await["code"], code, "{body}");
    }
    assert!(world.sandbox.journal().is_empty());
}

#[tokio::test]
async fn webhooks_look_like_metas() {
    let mut world = World::start().await;
    world.send(&template("+12025550104", "493817", "msg_a")).await;
    let delivered = world.webhook().await;
    let sent = world.webhook().await;
    let doubled = world.webhook().await;
    assert_eq!(delivered.body, doubled.body, "a doubled status is the same bytes again");
    assert!(delivered.body.is_ascii());
    assert!(delivered.body.contains(r"Zo\u00eb \ud83d\udc1d"), "{}", delivered.body);
    assert_eq!(delivered.json["object"], "whatsapp_business_account");
    assert_eq!(delivered.json["entry"][0]["changes"][0]["field"], "messages");
    for webhook in [&delivered, &sent] {
        let status = webhook.status();
        assert_eq!(status["recipient_id"], "12025550104");
        assert_eq!(status["recipient_user_id"], webhook.value()["contacts"][0]["user_id"]);
        let category = json!("authentication");
        assert_eq!(
            (&status["pricing"]["category"], &status["pricing"]["pricing_model"]),
            (&category, &json!("PMP"))
        );
        assert!(
            status["timestamp"]
                .as_str()
                .is_some_and(|at| at.parse::<i64>().is_ok_and(|at| at > 1_700_000_000))
        );
        assert!(status.get("conversation").is_none() && status.get("errors").is_none());
    }
    assert_eq!(world.webhook().await.kind(), "sent");
    let read = world.webhook().await;
    assert_eq!(read.kind(), "read");
    assert!(read.status().get("pricing").is_none(), "delivered has carried the price");

    world.send(&template("+12025550102", "493817", "msg_b")).await;
    let failed = world.webhook().await;
    let error = &failed.status()["errors"][0];
    assert_eq!((&error["code"], &error["title"]), (&json!(131026), &error["message"]));
    assert!(failed.body.contains(r"\/documentation\/business-messaging"));
    assert!(failed.status().get("recipient_user_id").is_none() && failed.value().get("contacts").is_none());
}

/// Otherwise a client with another WhatsApp deadline than the sandbox's would never see a late delivery.
#[tokio::test]
async fn an_sms_triggers_the_late_delivery() {
    let mut world = World::start_late(PATIENCE * 10).await;
    world.send(&template("+12025550106", "493817", "msg_a")).await;
    assert_eq!(world.webhook().await.kind(), "sent");
    for to in ["+12025550101", "+12025550106"] {
        let sms = json!({"to": to, "from": "Acme", "text": "493817 is your code.", "reference": "msg_b"});
        world.post("/sms/send", sms.to_string()).send().await.expect("an answer");
    }
    let mut delivered = 0;
    for _ in 0..5 {
        let told = tokio::time::timeout(PATIENCE, world.hook.received.recv()).await;
        let told = told.expect("a webhook in time").expect("the receiver runs");
        if told.path == "/webhooks/whatsapp" {
            assert_eq!(told.kind(), "delivered");
            delivered += 1;
        }
    }
    assert_eq!(delivered, 1, "beside two reports of each SMS");
    world.is_quiet("only the number that got an SMS");
}

#[tokio::test]
async fn disowning_answers_our_message() {
    let mut world = World::start().await;
    world.send(&template("+12025550110", "493817", "msg_a")).await;
    let delivered = [world.webhook().await, world.webhook().await].map(|webhook| webhook.message_id());
    let webhook = world.webhook().await;
    let message = &webhook.value()["messages"][0];
    assert_eq!(message["button"]["payload"], "DID_NOT_REQUEST_CODE");
    assert_eq!(message["context"]["id"], delivered[1].as_str());
    assert_ne!(message["id"], delivered[1].as_str());
    assert_eq!(message["from"], "12025550110");
}

#[tokio::test]
async fn a_webhook_is_retried_until_accepted() {
    let mut world = World::start().await;
    world.hook.refuse_next(2);
    world.send(&template("+12025550105", "493817", "msg_a")).await;
    let tries = [world.webhook().await, world.webhook().await, world.webhook().await];
    assert!(tries.iter().all(|webhook| webhook.kind() == "read" && webhook.body == tries[0].body));
}

// ── the carrier ───────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn the_carrier_accepts_and_reports_an_sms() {
    let mut world = World::start().await;
    for (to, end) in [("+12025550101", "delivered"), ("+12025550109", "failed")] {
        let text = "493817 is your Acme code. It expires in 10 minutes.";
        let sms = json!({"to": to, "from": "Acme", "text": text, "reference": "msg_9"});
        let answer = world.post("/sms/send", sms.to_string()).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = json_of(answer).await;
        assert!(answer["id"].as_str().is_some_and(|id| id.starts_with("sms-")));
        for status in ["sent", end] {
            let report = world.report().await;
            assert_eq!((&report["id"], &report["reference"]), (&answer["id"], &json!("msg_9")));
            assert_eq!(report["status"], status);
            assert_eq!(report.get("error").is_some(), status == "failed", "{report}");
            let at = report["at"].as_str().expect("a time");
            assert!(at.len() == 24 && at.ends_with('Z'), "{at}");
        }
        let handset = world.sandbox.handset(to);
        match end {
            "delivered" => {
                assert_eq!((handset[0].channel, handset[0].text.as_str()), (Channel::Sms, text));
                assert_eq!(handset[0].code.as_deref(), Some("493817"));
            }
            _ => assert!(handset.is_empty()),
        }
    }
}

#[tokio::test]
async fn the_carrier_refuses_malformed_requests() {
    let world = World::start().await;
    let ok = json!({"to": "+12025550101", "from": "Acme", "text": "493817", "reference": "m"}).to_string();
    let bare = world.client.post(world.url("/sms/send")).body(ok).send().await.expect("an answer");
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    let bodies = [
        String::new(),
        "[]".to_owned(),
        json!({"to": "+12025550101"}).to_string(),
        json!({"to": 12025550101_u64, "text": "x"}).to_string(),
        json!({"to": "someone", "text": "x"}).to_string(),
        json!({"to": "+12025550101", "text": ""}).to_string(),
        json!({"to": "+12025550101", "text": "x".repeat(2000)}).to_string(),
        "x".repeat(100_000),
        "[".repeat(60_000),
    ];
    for body in bodies {
        let answer = world.post("/sms/send", body).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(json_of(answer).await["error"]["code"], "invalid_request");
    }
    assert!(world.sandbox.journal().is_empty());
}

// ── validation of a send ──────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn an_invalid_send_gets_metas_error_object() {
    let world = World::start().await;
    let code_of = |pointer: &'static str, value: Value| (pointer, Some(value));
    let cases = [
        (("/messaging_product", None), 400, 100),
        (code_of("/messaging_product", json!("signal")), 400, 100),
        (("/to", None), 400, 100),
        (code_of("/to", json!("someone")), 400, 131009),
        (code_of("/to", json!("9".repeat(10_000))), 400, 131009),
        (code_of("/to", json!(5)), 400, 100),
        (("/type", None), 400, 100),
        (code_of("/type", json!("text")), 400, 100),
        (code_of("/recipient_type", json!("group")), 400, 100),
        (("/template", None), 400, 131008),
        (("/template/name", None), 400, 131008),
        (code_of("/template/name", json!("Login Code")), 404, 132001),
        (("/template/language/code", None), 400, 131008),
        (("/template/components", None), 400, 132000),
        (("/template/components/1", None), 400, 131008),
        (code_of("/template/components", json!("x")), 400, 132000),
        (code_of("/template/components/0/parameters", json!([])), 400, 132000),
        (code_of("/template/components/0/parameters/0", json!(7)), 400, 132012),
        (code_of("/template/components/0/parameters/0/text", json!("111111")), 400, 131009),
        (code_of("/template/components/1/sub_type", json!("copy_code")), 400, 132012),
        (code_of("/template/components/1/index", json!(1)), 400, 131009),
        (code_of("/biz_opaque_callback_data", json!("x".repeat(513))), 400, 100),
        (code_of("/biz_opaque_callback_data", json!({})), 400, 100),
    ];
    for ((pointer, value), status, code) in cases {
        let body = changed(&template("+12025550100", "493817", "m"), pointer, value);
        let answer = world.send(&body).await;
        assert_eq!(answer.status().as_u16(), status, "{pointer}");
        let answer: Value = json_of(answer).await;
        assert_eq!(answer["error"]["code"], code, "{pointer}: {answer}");
    }
    let long = world.send(&template("+12025550100", "1234567890123456", "m")).await;
    assert_eq!(json_of(long).await["error"]["code"], 132018);
    for body in ["", "{", "[]", "null", &"[".repeat(60_000), &"x".repeat(100_000)] {
        let answer = world.send(body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(json_of(answer).await["error"]["code"], 100);
    }
    assert!(world.sandbox.journal().is_empty());
}

#[tokio::test]
async fn inputs_that_meta_tolerates_are_accepted() {
    let mut world = World::start().await;
    let plain = template("+12025550105", "J$FpnYnP", &"x".repeat(512));
    let int = changed(&plain, "/template/components/1/index", Some(json!(0)));
    let no_type = changed(&plain, "/recipient_type", None);
    let spaced = changed(&plain, "/to", Some(json!("+1 (202) 555-0105")));
    let no_callback = changed(&plain, "/biz_opaque_callback_data", None);
    for body in [plain.clone(), int, no_type, spaced, no_callback.clone()] {
        assert_eq!(world.send(&body).await.status(), StatusCode::OK, "{body}");
        let webhook = world.webhook().await;
        assert_eq!(webhook.status().get("biz_opaque_callback_data").is_none(), body == no_callback);
    }
    assert_eq!(world.sandbox.handset("+12025550105").len(), 5);
}

#[tokio::test]
async fn a_request_needs_a_token_a_version_and_a_number_id() {
    let world = World::start().await;
    let body = template("+12025550100", "493817", "m");
    let path = "/v25.0/106540352242922/messages";
    let bare = world.client.post(world.url(path)).body(body.clone()).send().await.expect("an answer");
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    let bare: Value = json_of(bare).await;
    assert_eq!((&bare["error"]["code"], &bare["error"]["type"]), (&json!(190), &json!("OAuthException")));
    for (path, status, code) in
        [("/v25.0/me/messages", 400, 100), ("/v25.0/1/calls", 400, 2500), ("/v25.0/%00/messages", 400, 100)]
    {
        let answer = world.post(path, body.clone()).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert_eq!(json_of(answer).await["error"]["code"], code, "{path}");
    }
    let nowhere = world.post("/elsewhere", body).send().await.expect("an answer");
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_requested_template_is_approved() {
    let world = World::start().await;
    let path = "/v25.0/102290129340398/message_templates?fields=name,status&name=login_code&limit=10";
    let bare = world.client.get(world.url(path)).send().await.expect("an answer");
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    let answer = world.client.get(world.url(path)).bearer_auth("x").send().await.expect("an answer");
    let answer: Value = json_of(answer).await;
    let data = answer["data"].as_array().expect("a list");
    assert!(data.iter().any(|template| template["language"] == "en_US"), "{answer}");
    assert!(data.iter().all(|template| template["name"] == "login_code" && template["status"] == "APPROVED"));
}

// ── pages and JSON ──────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_handset_is_found_in_any_notation() {
    let mut world = World::start().await;
    world.send(&template("+12025550100", "493817", "m")).await;
    for _ in 0..3 {
        world.webhook().await;
    }
    let text = "*493817* is your verification code. For your security, do not share this code.";
    for number in ["+12025550100", "%2B12025550100", "12025550100"] {
        let handset = world.json(Method::GET, &format!("/handsets/{number}")).await;
        let entry = &handset[0];
        assert_eq!(handset.as_array().map(Vec::len), Some(1), "{number}");
        assert_eq!(entry.as_object().map(serde_json::Map::len), Some(4));
        assert_eq!((&entry["channel"], &entry["code"]), (&json!("whatsapp"), &json!("493817")));
        assert_eq!(entry["text"], text);
        assert!(entry["at"].as_str().is_some_and(|at| at.len() == 24 && at.ends_with('Z')));
    }
    for number in ["+4915228817386", "nobody", &"9".repeat(5_000), "%F0%9F%90%9D", "..%2f"] {
        assert_eq!(world.json(Method::GET, &format!("/handsets/{number}")).await, json!([]), "{number}");
    }
    assert_eq!(world.json(Method::GET, "/handsets").await[0]["number"], "+12025550100");
    let journal = world.json(Method::GET, "/journal").await;
    assert_eq!((&journal[0]["channel"], &journal[0]["to"]), (&json!("whatsapp"), &json!("+12025550100")));
    assert!(!journal.to_string().contains("493817"), "the journal knows no codes");
    assert!(!format!("{:?}", world.sandbox.handset("12025550100")).contains("493817"));

    let cleared = world.client.delete(world.url("/handsets")).send().await.expect("an answer");
    assert_eq!(cleared.status(), StatusCode::NO_CONTENT);
    assert_eq!(world.json(Method::GET, "/handsets").await, json!([]));
}

#[tokio::test]
async fn the_page_is_self_contained_and_runs_nothing_else() {
    let world = World::start().await;
    for (path, kind) in
        [("/", "text/html"), ("/assets/handset.css", "text/css"), ("/assets/handset.js", "text/javascript")]
    {
        let answer = world.client.get(world.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert!(header("content-type").starts_with(kind), "{path}");
        assert!(header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        let text = answer.text().await.expect("text");
        let foreign = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("http://") && !foreign.contains("https://"), "{path} loads from elsewhere");
        for inline in ["style=\"", "onclick=", "innerHTML", "<style"] {
            assert!(!text.contains(inline), "{path}: {inline}");
        }
    }
}

#[tokio::test]
async fn the_live_stream_names_the_phone_that_changed() {
    let world = World::start().await;
    let mut events = world.client.get(world.url("/events")).send().await.expect("an answer");
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let first = tokio::time::timeout(PATIENCE, events.chunk()).await.expect("in time").expect("bytes");
    assert_eq!(first.as_deref(), Some(&b"retry: 1000\n\n"[..]));
    world.send(&template("+12025550100", "493817", "m")).await;
    let event = tokio::time::timeout(PATIENCE, events.chunk()).await.expect("in time").expect("bytes");
    let event = String::from_utf8(event.expect("an event").to_vec()).expect("text");
    assert!(event.starts_with("event: change\ndata: {\"number\":\"+12025550100\"}\n\n"), "{event}");
    world.sandbox.stop().await;
    let rest = async { while events.chunk().await.is_ok_and(|chunk| chunk.is_some()) {} };
    tokio::time::timeout(PATIENCE, rest).await.expect("stopping ends the stream");
}

#[tokio::test]
async fn an_invalid_webhook_address_is_refused() {
    for url in ["", "localhost", "ftp://x/", "javascript:0"] {
        let options = Options { webhook_url: url.to_owned(), ..options("http://127.0.0.1:9") };
        let error = sandbox::start(options).await.expect_err(url);
        assert!(error.to_string().contains("http://"), "{error}");
    }
}

// ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

struct World {
    sandbox: Sandbox,
    hook: Hook,
    client: Client,
}

impl World {
    async fn start() -> Self {
        Self::start_late(PACE * 4).await
    }

    async fn start_late(late_after: Duration) -> Self {
        let hook = Hook::start();
        let options = Options { late_after, ..options(&hook.url) };
        let sandbox = sandbox::start(options).await.expect("a sandbox");
        // The sandbox has installed the TLS provider that every client needs, even for plain HTTP.
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        Self { sandbox, hook, client }
    }

    fn url(&self, path: &str) -> String {
        self.sandbox.url() + path
    }

    fn post(&self, path: &str, body: String) -> reqwest::RequestBuilder {
        self.client
            .post(self.url(path))
            .bearer_auth("EAAtoken")
            .header("content-type", "application/json")
            .body(body)
    }

    async fn send(&self, body: &str) -> reqwest::Response {
        self.post("/v25.0/106540352242922/messages", body.to_owned()).send().await.expect("an answer")
    }

    async fn json(&self, method: Method, path: &str) -> Value {
        let answer = self.client.request(method, self.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        json_of(answer).await
    }

    async fn webhook(&mut self) -> Webhook {
        let received = tokio::time::timeout(PATIENCE, self.hook.received.recv()).await;
        let webhook = received.expect("a webhook in time").expect("the receiver runs");
        assert_eq!((webhook.path.as_str(), webhook.signature_fits()), ("/webhooks/whatsapp", true));
        webhook
    }

    async fn report(&mut self) -> Value {
        let received = tokio::time::timeout(PATIENCE, self.hook.received.recv()).await;
        let report = received.expect("a report in time").expect("the receiver runs");
        assert_eq!((report.path.as_str(), report.signature_fits()), ("/webhooks/sms", true));
        report.json
    }

    /// Nothing arrived so far; a later webhook would fail the next wait.
    fn is_quiet(&mut self, context: &str) {
        let more = self.hook.received.try_recv().map(|webhook| webhook.body);
        assert!(more.is_err(), "{context}: unexpected {more:?}");
    }
}

async fn json_of(answer: reqwest::Response) -> Value {
    let bytes = answer.bytes().await.expect("a whole answer");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn options(hook: &str) -> Options {
    Options {
        listen: "127.0.0.1:0".parse().expect("an address"),
        webhook_url: format!("{hook}/webhooks/whatsapp"),
        app_secret: APP_SECRET.into(),
        report_url: format!("{hook}/webhooks/sms"),
        report_secret: REPORT_SECRET.into(),
        pace: PACE,
        late_after: PACE * 4,
    }
}

fn template(to: &str, code: &str, callback: &str) -> String {
    json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": to, "type": "template",
        "biz_opaque_callback_data": callback,
        "template": {"name": "login_code", "language": {"code": "en_US"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": code}]},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": code}]},
        ]},
    })
    .to_string()
}

/// The body with one value replaced or, with `None`, removed.
fn changed(body: &str, pointer: &str, value: Option<Value>) -> String {
    let mut body: Value = serde_json::from_str(body).expect("JSON");
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    match (body.pointer_mut(parent).expect("a parent"), value) {
        (Value::Object(map), Some(value)) => drop(map.insert(name.to_owned(), value)),
        (Value::Object(map), None) => drop(map.remove(name)),
        (Value::Array(list), Some(value)) => list[name.parse::<usize>().expect("an index")] = value,
        (Value::Array(list), None) => drop(list.remove(name.parse().expect("an index"))),
        (other, _) => panic!("{other} has no children"),
    }
    body.to_string()
}

/// The server under test from the sandbox's view: records requests in order.
struct Hook {
    url: String,
    received: mpsc::UnboundedReceiver<Webhook>,
    refusals: web::Data<std::sync::atomic::AtomicUsize>,
}

impl Hook {
    fn start() -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let refusals = web::Data::new(std::sync::atomic::AtomicUsize::new(0));
        let shared = refusals.clone();
        let server = HttpServer::new(move || {
            let (sender, shared) = (web::Data::new(sender.clone()), shared.clone());
            App::new().app_data(sender).app_data(shared).default_service(web::to(take))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", server.addrs()[0]);
        tokio::spawn(server.run());
        Self { url, received, refusals }
    }

    fn refuse_next(&self, times: usize) {
        self.refusals.store(times, std::sync::atomic::Ordering::SeqCst);
    }
}

async fn take(
    sender: web::Data<mpsc::UnboundedSender<Webhook>>,
    refusals: web::Data<std::sync::atomic::AtomicUsize>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let path = request.path().to_owned();
    let query = request.query_string().to_owned();
    let header = match path.as_str() {
        "/webhooks/sms" => "x-signature-256",
        "/webhooks/twilio" => twilio::SIGNATURE,
        _ => "x-hub-signature-256",
    };
    let signature = request.headers().get(header).expect("a signature").to_str().expect("text").to_owned();
    let is_form = path == "/webhooks/twilio";
    let json = if is_form { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
    let body = String::from_utf8(body.to_vec()).expect("text");
    sender.send(Webhook { path, query, signature, body, json }).expect("the test listens");
    let order = std::sync::atomic::Ordering::SeqCst;
    match refusals.try_update(order, order, |left| left.checked_sub(1)) {
        Ok(_) => HttpResponse::ServiceUnavailable().finish(),
        Err(_) => HttpResponse::Ok().finish(),
    }
}

struct Webhook {
    path: String,
    query: String,
    signature: String,
    body: String,
    json: Value,
}

impl Webhook {
    fn signature_fits(&self) -> bool {
        let secret = if self.path == "/webhooks/sms" { REPORT_SECRET } else { APP_SECRET };
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
        mac.update(self.body.as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.signature == format!("sha256={hex}")
    }

    fn value(&self) -> &Value {
        &self.json["entry"][0]["changes"][0]["value"]
    }

    fn status(&self) -> &Value {
        &self.value()["statuses"][0]
    }

    fn kind(&self) -> &str {
        match self.value()["messages"][0]["button"]["payload"].as_str() {
            Some("DID_NOT_REQUEST_CODE") => "disowned",
            _ => self.status()["status"].as_str().expect("a status"),
        }
    }

    /// Our message id in the webhook.
    fn message_id(&self) -> String {
        let answered = self.value()["messages"][0]["context"]["id"].as_str();
        answered.or(self.status()["id"].as_str()).expect("an id").to_owned()
    }
}

// ── Sinch ─────────────────────────────────────────────────────────────────────────────────────────────────

/// Forwards every request to the test.
struct Listener(mpsc::UnboundedSender<wiremock::Request>);

impl wiremock::Respond for Listener {
    fn respond(&self, request: &wiremock::Request) -> wiremock::ResponseTemplate {
        self.0.send(request.clone()).expect("the test listens");
        wiremock::ResponseTemplate::new(200)
    }
}

/// A channel that sends to the sandbox, and the webhooks that the sandbox posts to it.
struct Provider {
    channel: std::sync::Arc<twotick::channel::Channel>,
    posted: mpsc::UnboundedReceiver<wiremock::Request>,
    sandbox: Sandbox,
    _hook: wiremock::MockServer,
}

impl Provider {
    async fn start(settings: impl FnOnce(String) -> twotick::channel::Settings) -> Self {
        let hook = wiremock::MockServer::start().await;
        let (sender, posted) = mpsc::unbounded_channel();
        wiremock::Mock::given(wiremock::matchers::any()).respond_with(Listener(sender)).mount(&hook).await;
        let sandbox = sandbox::start(options(&hook.uri())).await.expect("a sandbox");
        let name = twotick::verification::values::ChannelName::new("sinch");
        let timeouts = twotick::channel::Timeouts { connect: PATIENCE, whole: PATIENCE };
        // Reports stay on this machine, whatever the host is.
        let callback = twotick::channel::webhook::Callback::new("https://otp.example.com", &name);
        let basis = twotick::channel::Basis { name: name.clone(), timeouts, callback };
        let mut channels = twotick::channel::all([(basis, settings(sandbox.url()))]).expect("right settings");
        Self { channel: channels.remove(&name).expect("it"), posted, sandbox, _hook: hook }
    }

    async fn send(
        &self,
        to: &str,
        content: twotick::channel::Content<'_>,
    ) -> twotick::verification::values::Outcome {
        let submission = twotick::channel::Submission {
            reference: SINCH_REFERENCE.parse().expect("an id"),
            to,
            code: "493817",
            content,
            valid_for: Duration::from_secs(30),
        };
        self.channel.send(&submission).await.outcome
    }

    /// Content of the next report, which must be signed and accepted once.
    async fn said(&mut self) -> String {
        let request = tokio::time::timeout(PATIENCE, self.posted.recv()).await.expect("a report in time");
        let request = request.expect("the receiver runs");
        assert_eq!(request.url.path(), "/webhooks/sinch");
        let headers: Vec<(&str, &[u8])> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let now = twotick::clock::Clock::System.now();
        let receive = || {
            self.channel.receive(&twotick::channel::webhook::Webhook {
                method: twotick::channel::webhook::Method::Post,
                callback: self.channel.callback(),
                path: None,
                query: request.url.query(),
                headers: &headers,
                body: &request.body,
                now,
            })
        };
        let twotick::channel::webhook::Incoming::Delivery(told) = receive().expect("the signature is right")
        else {
            panic!("a report is no question")
        };
        assert!(receive().is_ok(), "until it is stored it may come again");
        self.channel.stored(told.receipt, now);
        let replayed = twotick::channel::signature::BadSignature::Replayed;
        assert_eq!(receive().err(), Some(twotick::channel::webhook::WebhookError::Signature(replayed)));
        if let Some(message) = told.own.inbound.first() {
            return format!("{:?}", message.intent);
        }
        let report = told.own.reports.first().expect("a report");
        assert_eq!(report.reference.map(|id| id.to_string()).as_deref(), Some(SINCH_REFERENCE));
        match &report.status {
            twotick::verification::values::ReportStatus::Failed(error) => format!("failed {}", error.code),
            status => format!("{status:?}").to_lowercase(),
        }
    }
}

const SINCH_REFERENCE: &str = "msg_01m81zrq00fay80j6hb7h45br1";

#[tokio::test]
async fn sinch_conversation_plays_the_scenarios() {
    use twotick::channel::sinch::conversation::{Region, Settings, Via};
    use twotick::channel::{Content, Settings as Kinds};
    let settings = |via: Via| {
        move |url: String| {
            Kinds::SinchConversation(Settings {
                base_url: url.clone(),
                auth_url: url,
                region: Region::Eu,
                project_id: "project".to_owned(),
                app_id: "01APP".to_owned(),
                key_id: "key".to_owned(),
                key_secret: "secret".into(),
                via,
                sender: None,
                webhook_secrets: vec![sandbox::SINCH_WEBHOOK_SECRET.into()],
            })
        }
    };
    let template = || Content::Template { name: "login_code", language: "de" };
    let mut whatsapp = Provider::start(settings(Via::Whatsapp)).await;
    for (ending, reports) in [
        ("00", &["sent", "delivered", "read"][..]),
        ("01", &["sent"]),
        ("02", &["failed 131026"]),
        ("03", &["failed 131026"]),
        ("04", &["delivered", "sent", "delivered", "sent", "read"]),
        ("05", &["read"]),
        ("06", &["sent", "delivered"]),
        ("09", &["failed 131026"]),
        ("10", &["sent", "delivered", "CodeDisowned"]),
    ] {
        let outcome = whatsapp.send(&format!("+120255501{ending}"), template()).await;
        let accepted =
            matches!(outcome, twotick::verification::values::Outcome::Accepted { provider_ref: Some(_) });
        assert!(accepted, "{ending} {outcome:?}");
        for report in reports {
            assert_eq!(whatsapp.said().await, *report, "{ending}");
        }
    }
    // Refused for now twice, then accepted.
    for _ in 0..2 {
        let outcome = whatsapp.send("+12025550107", template()).await;
        assert!(
            matches!(&outcome, twotick::verification::values::Outcome::Refused { error, retry_after: Some(_) }
                if error.code == "http_429"),
            "{outcome:?}"
        );
    }
    whatsapp.send("+12025550107", template()).await;
    assert_eq!([whatsapp.said().await, whatsapp.said().await], ["sent", "delivered"]);
    // Accepted despite the truncated answer: a 2xx is accepted, and the report has the id.
    let outcome = whatsapp.send("+12025550108", template()).await;
    assert_eq!(outcome, twotick::verification::values::Outcome::Accepted { provider_ref: None });
    assert_eq!([whatsapp.said().await, whatsapp.said().await], ["sent", "delivered"]);
    let handset = whatsapp.sandbox.handset("+12025550100");
    assert_eq!((handset.len(), handset[0].code.as_deref()), (1, Some("493817")));
    assert_eq!(handset[0].channel, Channel::Whatsapp);

    for via in [Via::Sms, Via::Rcs] {
        let mut texts = Provider::start(settings(via)).await;
        for (ending, last) in [("00", "delivered"), ("09", "failed RECIPIENT_NOT_REACHABLE")] {
            texts.send(&format!("+120255501{ending}"), Content::Text("493817 is your code")).await;
            assert_eq!([texts.said().await.as_str(), texts.said().await.as_str()], ["sent", last], "{via:?}");
        }
        assert_eq!(texts.sandbox.handset("+12025550100")[0].code.as_deref(), Some("493817"));
    }
}

#[tokio::test]
async fn sinch_sms_plays_the_scenarios() {
    use twotick::channel::sinch::sms::{Region, Settings};
    use twotick::channel::{Content, Settings as Kinds};
    let mut sms = Provider::start(|base_url| {
        Kinds::SinchSms(Settings {
            base_url,
            region: Region::Eu,
            service_plan_id: "plan".to_owned(),
            api_token: "token".into(),
            from: "Acme".to_owned(),
            webhook_secrets: vec![sandbox::SINCH_WEBHOOK_SECRET.into()],
        })
    })
    .await;
    for (ending, last) in [("00", "delivered"), ("09", "failed 402")] {
        let outcome = sms.send(&format!("+120255501{ending}"), Content::Text("493817 is your code")).await;
        assert!(
            matches!(outcome, twotick::verification::values::Outcome::Accepted { provider_ref: Some(_) }),
            "{outcome:?}"
        );
        assert_eq!([sms.said().await.as_str(), sms.said().await.as_str()], ["sent", last], "{ending}");
    }
    assert_eq!(sms.sandbox.handset("+12025550100")[0].code.as_deref(), Some("493817"));
    let journal = sms.sandbox.journal();
    assert!(journal.iter().all(|one| one.reference.as_deref() == Some(SINCH_REFERENCE)));
}
