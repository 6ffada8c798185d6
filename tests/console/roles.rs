//! Every route with every role, for verifications of visible and of other apps.

use reqwest::{Method, StatusCode};
use twotick::clock::Clock;

use crate::office::{BANK_KEY, Office, SHOP_KEY, Staff, to};
use crate::visitor::Visitor;

/// The roles with access; other signed-in users get a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Least {
    Viewer,
    Support,
    Operator,
}

const READING: [(&str, Least); 8] = [
    ("/console", Least::Viewer),
    ("/console/search?q=order-17", Least::Viewer),
    ("/console/verifications/{id}", Least::Viewer),
    ("/console/verifications.csv", Least::Support),
    ("/console/conversations", Least::Support),
    ("/console/alerts", Least::Operator),
    ("/console/audit", Least::Operator),
    ("/console/sign-in", Least::Viewer),
];

const ACTING: [(&str, Least); 4] = [
    ("/console/verifications/{id}/reveal", Least::Support),
    ("/console/verifications/{id}/resend", Least::Support),
    ("/console/verifications/{id}/next", Least::Support),
    ("/console/verifications/{id}/cancel", Least::Support),
];

const USERS: [(&str, Least); 6] = [
    ("vera", Least::Viewer),
    ("sam", Least::Support),
    ("olga", Least::Operator),
    ("shop.vera", Least::Viewer),
    ("shop.sam", Least::Support),
    ("shop.olga", Least::Operator),
];

fn may(user: Least, least: Least) -> bool {
    user as u8 >= least as u8
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_need_a_permission() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let id = office.create(to("+12025550100")).await;
    for (path, least) in READING {
        let path = path.replace("{id}", &id);
        for (name, role) in USERS {
            let mut user = Visitor::signed_in(&office, name).await;
            let answer = user.get(&path).await;
            if may(role, least) {
                let fine = answer.status == StatusCode::OK
                    || path.ends_with("sign-in") && answer.status.is_redirection();
                assert!(fine, "{name} at {path}: {}", answer.status);
            } else {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name} at {path}");
                assert!(!answer.body.contains(&id), "{name} at {path}");
            }
        }
        let stranger = Visitor::new(&office).get(&path).await;
        if !path.ends_with("sign-in") {
            assert_eq!(stranger.status, StatusCode::SEE_OTHER, "a stranger at {path}");
        }
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_need_a_permission_and_a_reason() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    for (number, (path, least)) in ACTING.into_iter().enumerate() {
        for (user, (name, role)) in USERS.into_iter().enumerate() {
            // A pending verification: WhatsApp reports it as sent, and nothing more.
            let id = office.create(to(&format!("+1202555{number}{user}01"))).await;
            office.until(&id, |now| now["delivery"]["state"] == "sent").await;
            let (page, path) = (format!("/console/verifications/{id}"), path.replace("{id}", &id));
            let mut visitor = Visitor::signed_in(&office, name).await;
            let offered = visitor.get(&page).await.body.contains(&format!("action=\"{path}\""));
            assert_eq!(offered, may(role, least), "whether {name} is offered {path}");
            if may(role, least) {
                for reason in ["", " ", &"x".repeat(5_000)] {
                    let answer = visitor.post_from(&page, &path, &[("reason", reason)]).await;
                    assert!(answer.status.is_client_error(), "{path} for {reason:.9?}: {}", answer.status);
                }
            }
            let answer = visitor.post_from(&page, &path, &[("reason", "asked on the phone")]).await;
            let done = operators_events(&office, &id).await;
            if may(role, least) {
                assert!(
                    !answer.status.is_client_error() && !answer.status.is_server_error(),
                    "{name} at {path}: {}",
                    answer.status
                );
                assert_eq!(done, 1, "{name} at {path}");
            } else {
                assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name} at {path}");
                assert_eq!(done, 0, "{name} at {path}");
            }
        }
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_download_the_audit_log_which_records_it() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    for (name, role) in USERS {
        let mut user = Visitor::signed_in(&office, name).await;
        let answer = user.get("/console/audit.ndjson").await;
        if !may(role, Least::Operator) {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
            continue;
        }
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        assert!(answer.header("content-disposition").starts_with("attachment"), "{name}");
        for line in answer.body.lines() {
            let entry: serde_json::Value = serde_json::from_str(line).expect("a line is an entry");
            assert!(entry["hash"].is_string() && entry["seq"].is_u64() && entry["by"].is_string(), "{entry}");
        }
        let after = user.get("/console/audit").await.body;
        assert!(after.contains(name), "{name}");
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_apps_data_is_invisible() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let number = "+12025554101";
    let mut body = to(number);
    body["client_ref"] = "bank-17".into();
    let id = office.create_as(BANK_KEY, body).await;
    office.until_as(BANK_KEY, &id, |now| now["delivery"]["state"] == "sent").await;
    let own = office.create(to(number)).await;
    for name in ["shop.vera", "shop.sam", "shop.olga"] {
        let mut visitor = Visitor::signed_in(&office, name).await;
        for path in ["/console", "/console?app=bank", "/console?status=pending", "/console?country=US"] {
            let page = visitor.get(path).await;
            assert!(!page.body.contains(&id) && !page.body.contains("bank-17"), "{name} at {path}");
        }
        for searched in [id.as_str(), "bank-17", number, "4101"] {
            let page = visitor.get(&format!("/console/search?q={}", crate::visitor::encoded(searched))).await;
            assert!(
                !page.body.contains(&format!("/console/verifications/{id}")),
                "{name} searches {searched}"
            );
            assert!(!page.location().contains(&id), "{name} searches {searched}");
        }
        let path = format!("/console/verifications/{id}");
        assert_eq!(visitor.get(&path).await.status, StatusCode::NOT_FOUND, "{name}");
        assert_eq!(visitor.get(&format!("{path}/live")).await.status, StatusCode::NOT_FOUND, "{name}");
        for (path, _) in ACTING {
            let path = path.replace("{id}", &id);
            let answer = visitor.post_from("/console", &path, &[("reason", "curious")]).await;
            let expected = if name == "shop.vera" { StatusCode::FORBIDDEN } else { StatusCode::NOT_FOUND };
            assert!(
                [expected, StatusCode::NOT_FOUND].contains(&answer.status),
                "{name} at {path}: {}",
                answer.status
            );
        }
        if name != "shop.vera" {
            let list = visitor.get("/console/verifications.csv").await.body;
            assert!(list.contains(&own) && !list.contains(&id), "{name}: {list}");
            let people = visitor.get("/console/conversations").await.body;
            assert!(!people.contains(&id), "{name}");
        }
        if name == "shop.olga" {
            assert!(!visitor.get("/console/audit").await.body.contains(&id));
        }
    }
    assert_eq!(operators_events_as(&office, BANK_KEY, &id).await, 0);
    office.close().await;
}

async fn operators_events(office: &Office, id: &str) -> usize {
    operators_events_as(office, SHOP_KEY, id).await
}

async fn operators_events_as(office: &Office, key: &str, id: &str) -> usize {
    let path = format!("/v1/verifications/{id}/timeline");
    let (_, timeline) = office.call(Method::GET, key, &path, None).await;
    let events = timeline["events"].as_array().expect("events");
    events.iter().filter(|event| event["type"] == "operator_acted").count()
}
