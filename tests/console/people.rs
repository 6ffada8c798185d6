//! A person known by the number from the app, WhatsApp's number and a user id.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use twotick::clock::Clock;

use crate::office::{Office, Staff, to};
use crate::visitor::Visitor;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_one_conversation_whatever_whatsapp_calls_them() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let id = office.create(to("+525512340100")).await;
    let sent = office.until(&id, |now| now["delivery"]["state"] == "read").await;
    let at = office.business().at.to_string();
    let change = |mut value: Value| {
        let business = office.business();
        value["metadata"] = json!({ "phone_number_id": business.phone_number_id });
        json!({ "object": "whatsapp_business_account", "entry": [{ "id": business.account,
            "changes": [{ "field": "messages", "value": value }] }] })
    };
    let told = json!({ "id": sent["messages"][0]["provider_ref"], "status": "read", "timestamp": at,
        "recipient_id": "5215512340100", "recipient_user_id": "MX.1349" });
    office.deliver("whatsapp", &change(json!({ "statuses": [told] }))).await;
    for (id, from, name, text) in [
        ("wamid.a", "from", "5215512340100", "call 5215512340100"),
        ("wamid.b", "from_user_id", "MX.1349", "it is me"),
    ] {
        let mut message = json!({ "id": id, "timestamp": at, "type": "text", "text": { "body": text } });
        message[from] = json!(name);
        office.deliver("whatsapp", &change(json!({ "messages": [message] }))).await;
    }
    let mut sam = Visitor::signed_in(&office, "sam").await;
    let people = sam.get("/console/conversations").await.body;
    let indexes: BTreeSet<String> = people
        .split("/console/conversations/")
        .skip(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).collect())
        .filter(|index: &String| index.len() == 32)
        .collect();
    assert_eq!(indexes.len(), 1, "one person, not two: {people}");
    let person = sam.get(&format!("/console/conversations/{}", indexes.first().expect("one"))).await.body;
    for (page, name) in [(&people, "list"), (&person, "page")] {
        assert!(!page.to_lowercase().contains("hidden number"), "{name}: {page}");
        assert!(!page.contains("5512340100"), "{name} shows no number: {page}");
    }
    assert!(person.contains("it is me") && person.contains("call •"), "{person}");
    assert!(person.contains(&format!("/console/verifications/{id}")), "{person}");
    office.close().await;
}
