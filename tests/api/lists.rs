use serde_json::{Value, json};

use crate::support::{Answered, NUMBER, OTHER_APPS_KEY, Server, change, pointers, problem, server};

async fn page(server: &Server, path: &str) -> Value {
    let response = server.get(path).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.value().await
}

fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().unwrap();
    data.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Creates `count` verifications; returns their ids, newest first.
async fn some(server: &Server, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        let body = json!({ "to": format!("+120255501{n:02}"), "profile": "login", "client_ref": format!("ref-{}", n % 2) });
        ids.insert(0, server.create(body).await["id"].as_str().unwrap().to_owned());
        server.clock.advance(std::time::Duration::from_millis(1));
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let server = server().await;
    let all = some(&server, 7).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..10 {
        let page = page(&server, &format!("/v1/verifications?limit=3{cursor}")).await;
        assert!(page["data"].as_array().unwrap().len() <= 3);
        seen.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_select_and_a_foreign_app_sees_nothing() {
    let server = server().await;
    let all = some(&server, 4).await;
    let newest = all.first().unwrap();
    let code = server.code_of(newest).await;
    server.check(newest, &code).await;
    for (query, expected) in [
        ("to=%2B12025550101", vec![&all[2]]),
        ("to=+12025550101", vec![&all[2]]),
        ("client_ref=ref-1", vec![&all[0], &all[2]]),
        ("client_ref=ref-9", vec![]),
        ("status=approved", vec![&all[0]]),
        ("status=pending&client_ref=ref-1", vec![&all[2]]),
        ("status=expired", vec![]),
        ("to=%2B12025550103&status=approved&client_ref=ref-1", vec![&all[0]]),
    ] {
        let page = page(&server, &format!("/v1/verifications?{query}")).await;
        assert_eq!(ids(&page).iter().collect::<Vec<_>>(), expected, "{query}");
    }
    let foreign = server.plain(reqwest::Method::GET, "/v1/verifications").bearer_auth(OTHER_APPS_KEY);
    let foreign: Value = foreign.send().await.unwrap().value().await;
    assert_eq!(foreign, json!({ "data": [], "next_cursor": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_belongs_to_its_filters_and_its_app() {
    let server = server().await;
    some(&server, 3).await;
    let first = page(&server, "/v1/verifications?limit=1&client_ref=ref-0").await;
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();
    let with_another_limit = format!("/v1/verifications?limit=2&client_ref=ref-0&cursor={cursor}");
    assert_eq!(ids(&page(&server, &with_another_limit).await).len(), 1);
    let mut damaged = cursor.clone().into_bytes();
    damaged[40] = if damaged[40] == b'A' { b'B' } else { b'A' };
    let damaged = String::from_utf8(damaged).unwrap();
    for query in [
        format!("client_ref=ref-1&cursor={cursor}"),
        format!("cursor={cursor}"),
        format!("client_ref=ref-0&status=pending&cursor={cursor}"),
        format!("client_ref=ref-0&cursor={damaged}"),
        "client_ref=ref-0&cursor=".to_owned(),
        format!("client_ref=ref-0&cursor={}", "A".repeat(10_000)),
    ] {
        let refused = server.get(&format!("/v1/verifications?{query}")).send().await.unwrap();
        let refused = problem(refused, 422, "invalid_request").await;
        assert_eq!(pointers(&refused), ["/cursor"]);
    }
    let foreign = server
        .plain(reqwest::Method::GET, &format!("/v1/verifications?client_ref=ref-0&cursor={cursor}"))
        .bearer_auth(OTHER_APPS_KEY);
    problem(foreign.send().await.unwrap(), 422, "invalid_request").await;
    let inbound = server.get(&format!("/v1/inbound?cursor={cursor}")).send().await.unwrap();
    problem(inbound, 422, "invalid_request").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_are_all_named() {
    let server = server().await;
    let path = "/v1/verifications?to=123&status=lost&limit=101&limitt=1";
    let refused = problem(server.get(path).send().await.unwrap(), 422, "invalid_request").await;
    assert_eq!(pointers(&refused), ["/to", "/status", "/limit", "/limitt"]);
    let refused =
        problem(server.get("/v1/inbound?from=x").send().await.unwrap(), 422, "invalid_number").await;
    assert_eq!(pointers(&refused), ["/from"]);
    for limit in ["0", "-1", "1e2", "99999999999999999999"] {
        let response = server.get(&format!("/v1/verifications?limit={limit}")).send().await.unwrap();
        problem(response, 422, "invalid_request").await;
    }
}

fn text_from(number: &str, id: &str, text: &str, answers: Option<&str>, at: u64) -> String {
    let mut message = json!({ "from": number, "id": id, "timestamp": at.to_string(), "type": "text",
        "text": { "body": text } });
    if let Some(answered) = answers {
        message["context"] = json!({ "from": "15550001111", "id": answered });
    }
    change(
        json!({ "contacts": [{ "profile": { "name": "A. Person" }, "wa_id": number }], "messages": [message] }),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn inbound_messages_are_listed_with_their_verification() {
    let mut server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let message = server.accept().await;
    server.status(&message, "delivered").await;
    for body in [
        text_from("12025550100", "wamid.a", "thank you", Some(&message), 1_795_011_210),
        text_from("12025550100", "wamid.a", "thank you", Some(&message), 1_795_011_210),
        text_from("4915228817386", "wamid.b", "who is this? 👋", None, 1_795_011_211),
    ] {
        assert_eq!(server.webhook("whatsapp", &body).await.status(), 200);
    }
    let all = page(&server, "/v1/inbound").await;
    assert_eq!(all["data"].as_array().unwrap().len(), 2, "the second copy changed nothing: {all}");
    assert_eq!(
        all["data"][1],
        json!({ "provider_ref": "wamid.a", "channel": "whatsapp", "from": NUMBER, "user_id": null,
            "profile_name": "A. Person", "kind": "text", "text": "thank you", "intent": "reply",
            "at": "2026-11-18T14:13:30.000Z", "received_at": "2026-11-18T14:13:20.000Z", "in_reply_to": message,
            "verification_id": id })
    );
    assert_eq!(
        (&all["data"][0]["text"], &all["data"][0]["verification_id"]),
        (&json!("who is this? 👋"), &Value::Null)
    );
    let one = page(&server, "/v1/inbound?from=%2B4915228817386").await;
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
    let first = page(&server, "/v1/inbound?limit=1").await;
    let next =
        page(&server, &format!("/v1/inbound?limit=1&cursor={}", first["next_cursor"].as_str().unwrap()))
            .await;
    assert_eq!((&first["data"][0], &next["data"][0]), (&all["data"][0], &all["data"][1]));
    assert!(server.types(&id).await.contains(&"reply_received".to_owned()));

    let foreign = server.plain(reqwest::Method::GET, "/v1/inbound").bearer_auth(OTHER_APPS_KEY);
    let foreign: Value = foreign.send().await.unwrap().value().await;
    assert_eq!(foreign["data"].as_array().unwrap().len(), 1, "only what answers nobody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_very_long_text_is_truncated_to_the_record_limit() {
    let server = server().await;
    // A character, and the least number of them that fits.
    for (n, (letter, least)) in
        [("\u{1}", 1_650), ("字", 3_300), ("ก", 3_300), ("👋", 2_500)].into_iter().enumerate()
    {
        let text = letter.repeat(4096);
        let body = text_from("12025550100", &format!("wamid.{n}"), &text, None, 1_795_011_210);
        assert_eq!(server.webhook("whatsapp", &body).await.status(), 200);
        let all = page(&server, "/v1/inbound").await;
        let kept = all["data"][0]["text"].as_str().unwrap();
        let beginning = kept.strip_suffix('…').expect("a mark says that there was more");
        assert!(text.starts_with(beginning));
        let letters = beginning.chars().count();
        assert!(letters >= least, "{letters} of 4096 {letter:?} are kept");
    }
}

/// A time beyond every retention is not accepted.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_far_ahead_is_replaced_by_ours() {
    let server = server().await;
    for (n, at) in [4_000_000_000, 253_402_300_799, u64::MAX].into_iter().enumerate() {
        let body = text_from("12025550100", &format!("wamid.{n}"), "hello", None, at);
        assert_eq!(server.webhook("whatsapp", &body).await.status(), 200);
    }
    let all = page(&server, "/v1/inbound").await;
    let times: Vec<_> = all["data"].as_array().unwrap().iter().map(|message| &message["at"]).collect();
    assert_eq!(times, [&json!("2026-11-18T14:13:20.000Z"); 3]);
}
