//! The page of a verification and related pages: manual actions, the live stream, conversations, alerts, the audit log.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use twotick::clock::Clock;

use crate::hostile::Hostile;
use crate::office::{Office, Staff, to};
use crate::visitor::Visitor;

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_revealed_once_with_a_reason_and_audited() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let number = "+12025550100";
    let id = office.create(to(number)).await;
    office.until(&id, |now| now["delivery"]["state"] == "read").await;
    let page = format!("/console/verifications/{id}");
    let mut sam = Visitor::signed_in(&office, "sam").await;
    let refused = sam.post_from(&page, &format!("{page}/reveal"), &[("reason", "  ")]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(!refused.body.contains(number));
    let shown = sam.post_from(&page, &format!("{page}/reveal"), &[("reason", "ticket <4711>")]).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.body.contains(number) && shown.body.contains("data-revealed=\"60\""));
    assert_eq!(shown.header("cache-control"), "no-store");
    assert!(!shown.body.contains("data-live>"), "a page with the number in it does not grow");
    let after = sam.get(&page).await.body;
    assert!(!after.contains(number) && after.contains("sam viewed the full number"), "{after}");
    assert!(after.contains("ticket &#60;4711&#62;"), "{after}");
    let viewed = Visitor::signed_in(&office, "vera").await.get(&page).await.body;
    assert!(viewed.contains("sam viewed the full number") && !viewed.contains("4711"));
    let mut olga = Visitor::signed_in(&office, "olga").await;
    let log = olga.get("/console/audit").await.body;
    assert!(log.contains("looked at a number") && log.contains("ticket &#60;4711&#62;"), "{log}");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_action_is_explained_and_keeps_the_reason() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let id = office.create(to("+12025550101")).await;
    office.until(&id, |now| now["delivery"]["channel"] == "sms").await;
    let page = format!("/console/verifications/{id}");
    let mut sam = Visitor::signed_in(&office, "sam").await;
    let refused = sam.post_from(&page, &format!("{page}/next"), &[("reason", "hurry")]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("The last channel is already in progress."), "{}", refused.body);
    assert!(refused.body.contains("name=\"reason\" value=\"hurry\""), "{}", refused.body);
    let canceled = sam.post_from(&page, &format!("{page}/cancel"), &[("reason", "wrong number")]).await;
    assert_eq!((canceled.status, canceled.location()), (StatusCode::SEE_OTHER, &*format!("{page}?done")));
    let done = sam.get(&format!("{page}?done")).await.body;
    assert!(done.contains("Done.") && !done.contains(&format!("{page}/cancel")), "{done}");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_sends_every_missing_row() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let id = office.create(to("+12025550101")).await;
    let sam = Visitor::signed_in(&office, "sam").await;
    let cookies: Vec<_> = sam.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let url = format!("{}/console/verifications/{id}/live?since=1", office.admin);
    let stream = office.client.get(url).header("cookie", cookies.join("; ")).send().await.expect("a stream");
    assert_eq!(stream.status(), StatusCode::OK);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut rows = vec![1];
    let following = async {
        let mut stream = stream;
        let (mut bytes, mut text) = (Vec::new(), String::new());
        while !text.contains("The SMS provider reported that the message was delivered") && !done(&rows) {
            let chunk = stream.chunk().await.expect("it goes on").expect("it has not ended");
            bytes.extend_from_slice(&chunk);
            // A network packet may end within a character.
            let whole = bytes.utf8_chunks().next().map_or(0, |start| start.valid().len());
            text.push_str(std::str::from_utf8(&bytes[..whole]).expect("that much is valid"));
            bytes.drain(..whole);
            rows.extend(rows_of(&mut text));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), following).await.expect("the SMS is delivered");
    let expected: Vec<u32> = (1..=rows.len() as u32).collect();
    assert_eq!(rows, expected, "each row once, in order");
    office.close().await;
}

/// Eleven rows: the SMS of the second step is delivered.
fn done(rows: &[u32]) -> bool {
    rows.len() >= 11
}

/// The row numbers of the complete events in `text`, which are removed from it.
fn rows_of(text: &mut String) -> Vec<u32> {
    let mut rows = Vec::new();
    while let Some((event, rest)) = text.split_once("\n\n") {
        if let Some((_, data)) = event.split_once("data: ") {
            let update: Value = serde_json::from_str(data).expect("JSON");
            let html = update["rows"].as_str().expect("rows");
            let numbers = html.split("id=\"row-").skip(1).filter_map(|row| row.split('"').next());
            rows.extend(numbers.map(|number| number.parse::<u32>().expect("a number")));
            assert!(update["verdict"].as_str().is_some_and(|verdict| verdict.contains("sentence")));
        }
        *text = rest.to_owned();
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn disowned_codes_are_highlighted_and_quoted_codes_masked() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let number = "+12025550110";
    let id = office.create(to(number)).await;
    office.until(&id, |now| now["status"] == "canceled").await;
    let code = office.code(number);
    let text = format!("why {code}? call {number}");
    let quoting = Hostile { name: "quoting", text };
    office.deliver("whatsapp", &office.business().inbound(number, &quoting, 1)).await;
    let mut sam = Visitor::signed_in(&office, "sam").await;
    let people = sam.get("/console/conversations").await.body;
    assert!(people.contains("class=\"disowned\"") && people.contains("Did not request a code"), "{people}");
    let (_, after) = people.split_once("/console/conversations/").expect("a person");
    let index: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
    let person = sam.get(&format!("/console/conversations/{index}")).await.body;
    assert!(person.contains(&format!("/console/verifications/{id}")), "{person}");
    assert!(person.contains("why ••••••? call +•••••••••••"), "{person}");
    for page in [&people, &person] {
        assert!(!page.contains(&code) && !page.contains("2025550110"), "{page}");
    }
    let nobody = sam.get(&format!("/console/conversations/{}", "0".repeat(32))).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_unreadable_deliveries() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    office.deliver("whatsapp", &json!({ "strange": "<b>shape</b>" })).await;
    let mut olga = Visitor::signed_in(&office, "olga").await;
    let alerts = olga.get("/console/alerts").await.body;
    assert!(alerts.contains("unreadable_webhook") && alerts.contains("&#60;b&#62;shape"), "{alerts}");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_audit_log_is_downloaded_newest_first() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let mut olga = Visitor::signed_in(&office, "olga").await;
    for _ in 0..110 {
        assert_eq!(olga.get("/console/audit.ndjson").await.status, StatusCode::OK);
    }
    let answer = olga.get("/console/audit.ndjson").await;
    assert!(answer.header("content-disposition").starts_with("attachment; filename=\"twotick-audit-"));
    let lines: Vec<Value> =
        answer.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let numbers: Vec<_> = lines.iter().map(|line| line["seq"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, (1..=112).rev().collect::<Vec<_>>());
    assert_eq!((&lines[0]["action"], &lines[111]["action"]), (&json!("exported_audit"), &json!("signed_in")));
    assert!(lines.iter().all(|line| line["hash"].as_str().is_some_and(|hash| hash.len() == 64)));
    let (newest, older) = (olga.get("/console/audit").await, olga.get("/console/audit?before=13").await);
    assert!(newest.body.contains("/console/audit?before=13"), "{}", newest.body);
    assert_eq!(older.body.matches("<tr").count(), 13, "the head and twelve entries");
    office.close().await;
}
