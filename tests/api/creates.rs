use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use twotick::phone::Phone;
use twotick::store::{Order, Store};
use twotick::verification::values::ErrorClass;

use crate::support::{Answered, NUMBER, OTHER_APPS_KEY, Server, pointers, problem, server, server_with};

async fn create(server: &Server, body: Value) -> Response {
    server.post("/v1/verifications", &body).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_returns_the_whole_verification() {
    let server = server().await;
    let body = json!({ "to": NUMBER, "profile": "login", "locale": "de", "client_ref": "order-17",
        "metadata": { "cart": "9" } });
    let response = create(&server, body).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let (etag, location) = (response.headers()["etag"].clone(), response.headers()["location"].clone());
    let text = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    let id = body["id"].as_str().unwrap();
    assert_eq!(location, format!("/v1/verifications/{id}"));
    assert_eq!(etag, format!("\"{}\"", body["version"]));
    let message = body["messages"][0].clone();
    assert_eq!(
        body,
        json!({
            "id": id, "status": "pending", "to": NUMBER, "profile": "login", "locale": "de",
            "requested_locale": "de", "client_ref": "order-17", "metadata": { "cart": "9" },
            "created_at": "2026-11-18T14:13:20.000Z", "expires_at": "2026-11-18T14:23:20.000Z", "checks_left": 3,
            "delivery": { "state": message["state"], "channel": "whatsapp", "delivered_by": null,
                "fallback_at": "2026-11-18T14:13:50.000Z" },
            "messages": [{ "id": message["id"], "channel": "whatsapp", "step": 0, "state": message["state"],
                "provider_ref": null, "queued_at": "2026-11-18T14:13:20.000Z", "accepted_at": null, "sent_at": null,
                "delivered_at": null, "read_at": null, "failed_at": null, "error": null, "late": false }],
            "version": body["version"],
        })
    );
    let order = [
        "id",
        "status",
        "to",
        "profile",
        "locale",
        "requested_locale",
        "client_ref",
        "metadata",
        "created_at",
    ]
    .map(|name| text.find(&format!("\"{name}\":")).unwrap());
    assert!(order.is_sorted(), "the fields come in the contract's order: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_fields_have_defaults() {
    let server = server_with(&["login"]).await;
    let body = server.create(json!({ "to": NUMBER })).await;
    assert_eq!((&body["profile"], &body["locale"]), (&json!("login"), &json!("en")));
    assert_eq!((&body["client_ref"], &body["metadata"]), (&json!(null), &json!({})));
    assert_eq!(body["requested_locale"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locale_is_looked_up_and_the_one_that_is_sent_is_shown() {
    let mut server = server().await;
    for (n, (asked, by_whatsapp, by_sms)) in [
        ("pt-BR", "pt_BR", "pt"),
        ("PT_br", "pt_BR", "pt"),
        ("DE", "de", "en"),
        ("de-ch", "de", "de_CH"),
        ("zh-Hant-TW", "zh-Hant", "en"),
        ("he-IL", "iw", "en"),
        ("fr", "en", "en"),
    ]
    .into_iter()
    .enumerate()
    {
        let to = format!("+1202555{:04}", 200 + n);
        let body = server.create(json!({ "to": to, "profile": "login", "locale": asked })).await;
        assert_eq!((&body["locale"], &body["requested_locale"]), (&json!(by_whatsapp), &json!(asked)));
        let id = body["id"].as_str().unwrap();
        assert_eq!(server.timeline(id).await[0]["data"]["locale"], by_whatsapp);
        server.refuse("131026", ErrorClass::Recipient).await;
        server.accept().await;
        let body = server.read(id).await;
        assert_eq!((&body["locale"], &body["requested_locale"]), (&json!(by_sms), &json!(asked)), "by SMS");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_errors_are_reported_at_once_with_unknown_fields() {
    let server = server().await;
    let response = create(
        &server,
        json!({ "to": 12025550100_u64, "profile": "nope", "locale": "a/b", "client_ref": "x".repeat(129),
            "metadata": { "a": 1, "b/c": null }, "colour": "red", "a~b": 1 }),
    )
    .await;
    let body = problem(response, 422, "invalid_request").await;
    assert_eq!(
        pointers(&body),
        ["/to", "/profile", "/locale", "/client_ref", "/metadata/a", "/metadata/b~1c", "/a~0b", "/colour"]
    );
    let unknown = body["errors"][7]["detail"].as_str().unwrap();
    assert!(unknown.contains("to, profile, locale, client_ref, code, metadata"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_are_refused_each_with_its_code() {
    let server = server().await;
    let long = format!("+{}", "4".repeat(10_000));
    let pairs: serde_json::Map<_, _> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
    let heavy: serde_json::Map<_, _> = (0..16).map(|n| (n.to_string(), json!("ü".repeat(512)))).collect();
    for (body, code, pointer) in [
        (json!({ "profile": "login" }), "invalid_request", "/to"),
        (json!({ "to": null, "profile": "login" }), "invalid_request", "/to"),
        (json!({ "to": "12025550100", "profile": "login" }), "invalid_number", "/to"),
        (json!({ "to": "+1202555", "profile": "login" }), "invalid_number", "/to"),
        (json!({ "to": long, "profile": "login" }), "invalid_number", "/to"),
        (json!({ "to": NUMBER }), "invalid_request", "/profile"),
        (json!({ "to": NUMBER, "profile": "nope" }), "unknown_profile", "/profile"),
        (json!({ "to": NUMBER, "profile": ["login"] }), "invalid_request", "/profile"),
        (json!({ "to": NUMBER, "profile": "login", "code": "493817" }), "invalid_request", "/code"),
        (json!({ "to": NUMBER, "profile": "bring", "code": "493" }), "invalid_request", "/code"),
        (json!({ "to": NUMBER, "profile": "bring", "code": "49381749381" }), "invalid_request", "/code"),
        (json!({ "to": NUMBER, "profile": "bring", "code": "4938 1" }), "invalid_request", "/code"),
        (json!({ "to": NUMBER, "profile": "login", "client_ref": "" }), "invalid_request", "/client_ref"),
        (json!({ "to": NUMBER, "profile": "login", "client_ref": "a\nb" }), "invalid_request", "/client_ref"),
        (json!({ "to": NUMBER, "profile": "login", "metadata": [] }), "invalid_request", "/metadata"),
        (json!({ "to": NUMBER, "profile": "login", "metadata": pairs }), "invalid_request", "/metadata"),
        (json!({ "to": NUMBER, "profile": "login", "metadata": heavy }), "invalid_request", "/metadata"),
        (json!([]), "invalid_request", ""),
        (json!("text"), "invalid_request", ""),
    ] {
        let shown = body.to_string().chars().take(80).collect::<String>();
        let refused = problem(create(&server, body).await, 422, code).await;
        assert_eq!(pointers(&refused), [pointer], "{shown}");
        assert!(!refused.to_string().contains("2025550"), "a number is never repeated: {refused}");
    }
    let list: Value = server.get("/v1/verifications").send().await.unwrap().value().await;
    assert_eq!(list["data"], json!([]), "nothing was created");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_valid_request_is_accepted() {
    let server = server().await;
    let metadata: serde_json::Map<_, _> =
        (0..16).map(|n| (format!("{n:0>64}"), json!("x".repeat(430)))).collect();
    let body = server
        .create(json!({ "to": NUMBER, "profile": "bring", "code": "Ab12", "client_ref": "ü".repeat(128),
            "metadata": metadata }))
        .await;
    assert_eq!(server.read(body["id"].as_str().unwrap()).await["metadata"], Value::Object(metadata));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_code_can_be_checked() {
    let server = server().await;
    let body = server.create(json!({ "to": NUMBER, "profile": "bring", "code": "Ab12" })).await;
    let id = body["id"].as_str().unwrap();
    assert_eq!(server.check(id, "ab12").await["result"], "wrong_code");
    assert_eq!(server.check(id, "Ab12").await["result"], "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_create_too_early_names_the_pending_one() {
    let mut server = server().await;
    let first = server.created().await;
    let id = first["id"].as_str().unwrap();
    server.accept().await;
    let code = server.code_of(id).await;

    let again = json!({ "to": NUMBER, "profile": "login" });
    let response = create(&server, again.clone()).await;
    assert_eq!(response.headers()["retry-after"], "30");
    let early = problem(response, 429, "resend_too_early").await;
    assert_eq!(early["verification_id"], id);

    server.clock.advance(std::time::Duration::from_millis(29_001));
    let response = create(&server, again).await;
    assert_eq!(response.headers()["retry-after"], "1", "rounded up");

    assert_eq!(server.code_of(id).await, code);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_by_create_answers_200_and_keeps_everything() {
    let mut server = server().await;
    let first = server.created().await;
    let id = first["id"].as_str().unwrap();
    let code = server.code_of(id).await;
    let message = server.accept().await;
    server.status(&message, "delivered").await;
    server.clock.advance(std::time::Duration::from_secs(30));
    let response = create(&server, json!({ "to": NUMBER, "profile": "login" })).await;
    assert_eq!(response.status(), StatusCode::OK);
    let resent: Value = response.value().await;
    assert_eq!((&resent["id"], &resent["expires_at"]), (&first["id"], &first["expires_at"]));
    assert_eq!(resent["messages"].as_array().unwrap().len(), 2);
    assert!(server.types(id).await.contains(&"resend_requested".to_owned()));
    assert_eq!(server.code_of(id).await, code);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_app_profile_or_number_is_another_verification() {
    let server = server().await;
    let first = server.created().await;
    let bring = server.create(json!({ "to": NUMBER, "profile": "bring" })).await;
    let number = server.create(json!({ "to": "+12025550101", "profile": "login" })).await;
    let body = json!({ "to": NUMBER, "profile": "login" });
    let other = server.plain(reqwest::Method::POST, "/v1/verifications").bearer_auth(OTHER_APPS_KEY);
    let other = other.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    assert_eq!(other.status(), StatusCode::CREATED);
    let other: Value = other.value().await;
    let ids: std::collections::HashSet<_> =
        [&first, &bring, &number, &other].map(|body| body["id"].as_str().unwrap()).into();
    assert_eq!(ids.len(), 4);
}

async fn with_key(server: &Server, key: &str, body: &Value) -> Response {
    server.post("/v1/verifications", body).header("idempotency-key", key).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_repeats_the_first_answer() {
    let mut server = server().await;
    let body = json!({ "to": NUMBER, "profile": "login", "metadata": { "b": "2", "a": "1" } });
    let first = with_key(&server, "order-17", &body).await;
    assert_eq!(first.status(), StatusCode::CREATED);
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let (location, etag) = (first.headers()["location"].clone(), first.headers()["etag"].clone());
    let text = first.text().await.unwrap();
    // Later events do not show in the repeated answer.
    let message = server.accept().await;
    server.status(&message, "delivered").await;
    for key in ["order-17", "\"order-17\""] {
        let again = with_key(&server, key, &body).await;
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.headers()["idempotent-replayed"], "true");
        assert_eq!((&again.headers()["location"], &again.headers()["etag"]), (&location, &etag));
        assert_eq!(again.text().await.unwrap(), text);
    }
    let other = json!({ "to": NUMBER, "profile": "login" });
    problem(with_key(&server, "order-17", &other).await, 422, "idempotency_key_reused").await;
    problem(with_key(&server, "order-17", &json!({ "nonsense": 1 })).await, 422, "idempotency_key_reused")
        .await;

    let other_app = server.plain(reqwest::Method::POST, "/v1/verifications").bearer_auth(OTHER_APPS_KEY);
    let other_app = other_app
        .header("content-type", "application/json")
        .header("idempotency-key", "order-17")
        .body(other.to_string());
    assert_eq!(other_app.send().await.unwrap().status(), StatusCode::CREATED, "a key belongs to its app");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_compared_by_value() {
    let server = server_with(&["login"]).await;
    let send = |text: &str| {
        let request = server.request(reqwest::Method::POST, "/v1/verifications");
        let request = request.header("content-type", "application/json").header("idempotency-key", "k");
        request.body(text.to_owned()).send()
    };
    let first = send(r#"{"to":"+12025550100","client_ref":"ü","metadata":{"a":"1","b":"2"}}"#).await.unwrap();
    assert_eq!(first.status(), StatusCode::CREATED);
    let text = first.text().await.unwrap();
    for same in [
        r#"{"metadata":{"b":"2","a":"1"},"client_ref":"ü","to":"+12025550100"}"#,
        "{ \"to\" : \"+12025550100\",\r\n\t\"client_ref\": \"\\u00fc\", \"metadata\": {\"a\":\"\\u0031\", \"b\":\"2\"} }",
        r#"{"t\u006f":"+12025550100","client_ref":"\u00FC","metadata":{"a":"1","b":"2"}}"#,
        r#"{"to":"+12025550100","client_ref":"ü","metadata":{"a":"1","b":"2"},"locale":null,"code":null}"#,
        r#"{"to":"+12025550100","profile":"login","client_ref":"ü","metadata":{"a":"1","b":"2"}}"#,
    ] {
        let again = send(same).await.unwrap();
        assert_eq!(again.headers()["idempotent-replayed"], "true", "{same}");
        assert_eq!(again.text().await.unwrap(), text, "{same}");
    }
    for other in [
        r#"{"to":"+12025550101","client_ref":"ü","metadata":{"a":"1","b":"2"}}"#,
        r#"{"to":"+12025550100","client_ref":"u","metadata":{"a":"1","b":"2"}}"#,
        r#"{"to":"+12025550100","client_ref":"ü","metadata":{"a":"2","b":"1"}}"#,
        r#"{"to":"+12025550100","client_ref":"ü"}"#,
        r#"{"to":"+12025550100","client_ref":"ü","metadata":{"a":"1","b":"2"},"locale":"de"}"#,
        r#"{"to":"+12025550100","client_ref":"ü","metadata":{"a":"1","b":2}}"#,
    ] {
        problem(send(other).await.unwrap(), 422, "idempotency_key_reused").await;
    }
    problem(send(r#"{"to":"+12025550100","to":"+12025550100"}"#).await.unwrap(), 422, "invalid_request")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_metadata_equals_missing_metadata() {
    let server = server().await;
    let bodies = [
        json!({ "to": NUMBER, "profile": "login" }),
        json!({ "to": NUMBER, "profile": "login", "metadata": {} }),
        json!({ "to": NUMBER, "profile": "login", "metadata": null, "client_ref": null }),
    ];
    for body in &bodies {
        assert_eq!(with_key(&server, "k", body).await.status(), StatusCode::CREATED);
    }
}

/// An erased person does not reappear in a repeated answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_answer_leaves_out_what_was_erased_meanwhile() {
    let server = server().await;
    let body =
        json!({ "to": NUMBER, "profile": "login", "client_ref": "order-17", "metadata": { "name": "Ada" } });
    let first: Value = with_key(&server, "k", &body).await.value().await;
    assert_eq!((&first["to"], &first["metadata"]["name"]), (&json!(NUMBER), &json!("Ada")));
    let number = server.vault.number_index(&Phone::parse(NUMBER).unwrap());
    server.store.execute(vec![Order::Forget(number)]).await.unwrap();
    let again = with_key(&server, "k", &body).await;
    assert_eq!(
        (again.status(), &again.headers()["idempotent-replayed"]),
        (StatusCode::CREATED, &"true".parse().unwrap())
    );
    let again: Value = again.value().await;
    assert_eq!(
        (&again["to"], &again["client_ref"], &again["metadata"]),
        (&json!(null), &json!(null), &json!({}))
    );
    assert_eq!(
        (&again["id"], &again["version"], &again["status"]),
        (&first["id"], &first["version"], &first["status"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_forgotten_after_a_day() {
    let server = server().await;
    let body = json!({ "to": NUMBER, "profile": "login" });
    let first: Value = with_key(&server, "k", &body).await.value().await;
    server.clock.advance(std::time::Duration::from_secs(24 * 60 * 60 - 1));
    let same: Value = with_key(&server, "k", &body).await.value().await;
    assert_eq!(same["id"], first["id"]);
    server.clock.advance(std::time::Duration::from_secs(2));
    let new = with_key(&server, "k", &body).await;
    assert_eq!(new.status(), StatusCode::CREATED);
    assert_ne!(new.value().await["id"], first["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_at_once_with_one_key_one_creates() {
    let server = server().await;
    let body = json!({ "to": NUMBER, "profile": "login" });
    let answers = futures_util::future::join_all((0..40).map(|_| with_key(&server, "same", &body))).await;
    let mut ids = std::collections::HashSet::new();
    for answer in answers {
        if answer.status() == StatusCode::CREATED {
            ids.insert(answer.value().await["id"].to_string());
        } else {
            problem(answer, 409, "idempotency_key_in_use").await;
        }
    }
    assert_eq!(ids.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_does_not_use_its_key_up() {
    let server = server().await;
    problem(with_key(&server, "k", &json!({ "to": "1" })).await, 422, "invalid_request").await;
    let body = json!({ "to": NUMBER, "profile": "login" });
    assert_eq!(with_key(&server, "k", &body).await.status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_has_a_form() {
    let server = server().await;
    let body = json!({ "to": NUMBER, "profile": "login" });
    for wrong in ["", "\"\"", "\"", "a b", &"k".repeat(256)] {
        problem(with_key(&server, wrong, &body).await, 422, "invalid_request").await;
    }
    assert_eq!(with_key(&server, &"k".repeat(255), &body).await.status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_creates_at_once_for_one_number_one_creates() {
    let server = server().await;
    let body = json!({ "to": NUMBER, "profile": "login" });
    let answers = futures_util::future::join_all((0..40).map(|_| create(&server, body.clone()))).await;
    let created = answers.iter().filter(|answer| answer.status() == StatusCode::CREATED).count();
    let too_early = answers.iter().filter(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS).count();
    assert_eq!((created, too_early), (1, 39));
}
