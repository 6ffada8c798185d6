//! Identity of numbers: WhatsApp's number of a person may differ from the one that the app gave.

use serde_json::{Value, json};

use crate::support::*;

/// The app's number, and WhatsApp's.
const RENAMED: [(&str, &str); 6] = [
    ("+525512340123", "5215512340123"),
    ("+5511987654321", "551187654321"),
    ("+551133334444", "5511933334444"),
    ("+541123456789", "5491123456789"),
    ("+2250707123456", "22507123456"),
    ("+2290197123456", "22997123456"),
];

async fn page(server: &Server, path: &str) -> Vec<Value> {
    let response = server.get(path).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    let page: Value = response.value().await;
    page["data"].as_array().unwrap().clone()
}

async fn told(server: &Server, value: Value) {
    assert_eq!(server.webhook("whatsapp", &change(value)).await.status(), 200);
}

fn text(id: &str, from: Value) -> Value {
    let mut message =
        json!({ "id": id, "timestamp": "1795011210", "type": "text", "text": { "body": "hello" } });
    message.as_object_mut().unwrap().extend(from.as_object().unwrap().clone());
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn whatsapps_number_and_the_apps_number_find_the_same_person() {
    for (to, wa_id) in RENAMED {
        let mut server = server().await;
        let id = server.create(json!({ "to": to, "profile": "login" })).await["id"].clone();
        let message = server.accept().await;
        let status = json!({ "id": message, "status": "delivered", "timestamp": "1795011201",
            "recipient_id": wa_id, "recipient_user_id": "XX.1349" });
        told(&server, json!({ "statuses": [status] })).await;
        let messages = [
            text("wamid.a", json!({ "from": wa_id })),
            text("wamid.b", json!({ "from_user_id": "XX.1349" })),
            text("wamid.c", json!({ "from": "15550009999" })),
        ];
        told(&server, json!({ "messages": messages })).await;
        for number in [to.to_owned(), format!("+{wa_id}"), "XX.1349".to_owned()] {
            let escaped = number.replace('+', "%2B");
            let found = page(&server, &format!("/v1/verifications?to={escaped}")).await;
            assert_eq!((found.len(), &found[0]["id"], &found[0]["to"]), (1, &id, &json!(to)), "{number}");
            let written = page(&server, &format!("/v1/inbound?from={escaped}")).await;
            let refs: Vec<_> = written.iter().map(|message| message["provider_ref"].as_str()).collect();
            assert_eq!(refs, [Some("wamid.b"), Some("wamid.a")], "{number}");
            assert!(written.iter().all(|message| message["verification_id"] == id), "{written:?}");
        }
        let disowned = json!({ "from": wa_id, "id": "wamid.d", "timestamp": "1795011220", "type": "button",
            "button": { "payload": "DID_NOT_REQUEST_CODE", "text": "No" } });
        told(&server, json!({ "messages": [disowned] })).await;
        assert_eq!(server.read(id.as_str().unwrap()).await["status"], "canceled", "{wa_id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_unknown_to_the_metadata_can_be_searched_but_not_sent_to() {
    let server = server().await;
    for number in ["+5215512340123", "+22507123456", "+1234567", "+999999999999999"] {
        let escaped = number.replace('+', "%2B");
        told(
            &server,
            json!({ "messages": [text(number, json!({ "from": number.trim_start_matches('+') }))] }),
        )
        .await;
        let found = page(&server, &format!("/v1/inbound?from={escaped}")).await;
        assert_eq!((found.len(), &found[0]["from"]), (1, &json!(number)));
        assert!(page(&server, &format!("/v1/verifications?to={escaped}")).await.is_empty());
        let sent = server.post("/v1/verifications", &json!({ "to": number, "profile": "login" }));
        problem(sent.send().await.unwrap(), 422, "invalid_number").await;
    }
    for wrong in
        ["5215512340123", "%2B521551", "%2B5215512340123456", "%2B52a5512340123", "%2B52 1 55 1234 0123"]
    {
        for path in ["/v1/inbound?from=", "/v1/verifications?to="] {
            let refused = server.get(&format!("{path}{wrong}")).send().await.unwrap();
            problem(refused, 422, "invalid_number").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_disowned_codes_are_not_canceled_and_both_record_it() {
    let mut server = server().await;
    let body = json!({ "to": "+525512340123", "profile": "login" });
    let shops = server.create(body.clone()).await["id"].as_str().unwrap().to_owned();
    server.accept().await;
    let banks = server.plain(reqwest::Method::POST, "/v1/verifications").bearer_auth(OTHER_APPS_KEY);
    let banks = banks.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    let banks: Value = banks.value().await;
    let banks = banks["id"].as_str().unwrap().to_owned();
    server.accept().await;
    let disowned = json!({ "from": "525512340123", "id": "wamid.d", "timestamp": "1795011220", "type": "button",
        "button": { "payload": "DID_NOT_REQUEST_CODE", "text": "No" },
        "context": { "from": "15550001111", "id": "wamid.of-somebody-else" } });
    told(&server, json!({ "messages": [disowned] })).await;
    for (key, id) in [(KEY, shops), (OTHER_APPS_KEY, banks)] {
        let read = async |path: &str| -> Value {
            let asked = server.plain(reqwest::Method::GET, &format!("/v1/verifications/{id}{path}"));
            asked.bearer_auth(key).send().await.unwrap().value().await
        };
        assert_eq!(read("").await["status"], "pending");
        let timeline = read("/timeline").await;
        let last = timeline["events"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["type"], &last["data"]["certain"]), (&json!("code_disowned"), &json!(false)));
        assert!(last["text"].as_str().unwrap().contains("none was canceled"), "{last}");
    }
}

/// Meta resends a message until it is accepted; without a time each copy would look like a new message.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_usable_time_is_kept_once() {
    let server = server().await;
    for (n, time) in
        [Value::Null, json!(""), json!("soon"), json!("1795011210000"), json!("-5"), json!(4_000_000_000_u64)]
            .into_iter()
            .enumerate()
    {
        for _ in 0..3 {
            server.clock.advance(std::time::Duration::from_secs(60));
            let mut message = text(&format!("wamid.{n}"), json!({ "from": "12025550100" }));
            message["timestamp"] = time.clone();
            told(&server, json!({ "messages": [message] })).await;
        }
        assert_eq!(page(&server, "/v1/inbound").await.len(), n + 1, "{time}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_the_same_second_keep_their_order() {
    let server = server().await;
    for pair in 0..6 {
        let of = |n: u32| text(&format!("wamid.{}", 2 * pair + n), json!({ "from": "5215512340123" }));
        told(&server, json!({ "messages": [of(0), of(1)] })).await;
    }
    let newest_first: Vec<_> = (0..12).rev().map(|n| json!(format!("wamid.{n}"))).collect();
    for path in ["/v1/inbound", "/v1/inbound?from=%2B5215512340123"] {
        let listed = page(&server, path).await;
        assert_eq!(
            listed.iter().map(|message| message["provider_ref"].clone()).collect::<Vec<_>>(),
            newest_first
        );
    }
}
