use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{problem, server};

#[tokio::test(flavor = "multi_thread")]
async fn the_right_code_is_approved_once_and_then_already() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let (right, wrong) = (server.code_of(&id).await, server.wrong_code_of(&id).await);

    let first = server.check(&id, &wrong).await;
    assert_eq!((&first["result"], &first["checks_left"]), (&json!("wrong_code"), &json!(2)));
    assert_eq!(first["verification"]["status"], "pending");
    let second = server.check(&id, &right).await;
    assert_eq!((&second["result"], &second["checks_left"]), (&json!("approved"), &json!(2)));
    assert_eq!(second["verification"]["status"], "approved");
    for code in [&right, &wrong] {
        assert_eq!(server.check(&id, code).await["result"], "already_approved");
    }
    assert_eq!(server.read(&id).await["version"], second["verification"]["version"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_wrong_code_exhausts() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let (right, wrong) = (server.code_of(&id).await, server.wrong_code_of(&id).await);
    for left in [2, 1] {
        let checked = server.check(&id, &wrong).await;
        assert_eq!((&checked["result"], &checked["checks_left"]), (&json!("wrong_code"), &json!(left)));
    }
    let last = server.check(&id, &wrong).await;
    assert_eq!((&last["result"], &last["checks_left"]), (&json!("exhausted"), &json!(0)));
    assert_eq!(last["verification"]["status"], "exhausted");
    assert_eq!(server.check(&id, &right).await["result"], "exhausted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_before_its_expiry_and_never_from_it_on() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let right = server.code_of(&id).await;
    server.clock.advance(Duration::from_millis(600_000));
    assert_eq!(server.check(&id, &right).await["result"], "expired");
    assert_eq!(server.read(&id).await["status"], "expired");

    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let right = server.code_of(&id).await;
    server.clock.advance(Duration::from_millis(599_999));
    assert_eq!(server.check(&id, &right).await["result"], "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_verification_says_so() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let right = server.code_of(&id).await;
    server.post(&format!("/v1/verifications/{id}/cancel"), &json!({})).send().await.unwrap();
    assert_eq!(server.check(&id, &right).await["result"], "canceled");
}

/// However many try at once, no more than `max_checks` codes are compared.
#[tokio::test(flavor = "multi_thread")]
async fn a_race_of_guesses_gains_nothing() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let right = server.code_of(&id).await.parse::<u32>().unwrap();
    let guesses: Vec<_> = (1..=60).map(|n| format!("{:06}", (right + n) % 1_000_000)).collect();
    let results = futures_util::future::join_all(guesses.iter().map(|guess| server.check(&id, guess))).await;
    let count = |result: &str| results.iter().filter(|checked| checked["result"] == result).count();
    assert_eq!((count("wrong_code"), count("exhausted")), (2, 58));
    let types = server.types(&id).await;
    assert_eq!(types.iter().filter(|kind| *kind == "check_failed").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_right_codes_at_once_one_is_approved() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let right = server.code_of(&id).await;
    let results = futures_util::future::join_all((0..40).map(|_| server.check(&id, &right))).await;
    let count = |result: &str| results.iter().filter(|checked| checked["result"] == result).count();
    assert_eq!((count("approved"), count("already_approved")), (1, 39));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_is_any_text_of_up_to_64_characters() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/verifications/{id}/check");
    for wrong in [
        json!({}),
        json!({ "code": "x".repeat(65) }),
        json!({ "code": 493817 }),
        json!({ "code": null }),
        json!({ "code": "1", "more": 1 }),
    ] {
        let response = server.post(&path, &wrong).send().await.unwrap();
        problem(response, 422, "invalid_request").await;
    }
    assert_eq!(server.read(&id).await["checks_left"], 3, "none of these was a try");
    let tried: Value = server.check(&id, &"ü".repeat(64)).await;
    assert_eq!((&tried["result"], &tried["checks_left"]), (&json!("wrong_code"), &json!(2)));
    assert_eq!(server.check(&id, " \u{0}").await["checks_left"], 1);
    assert_eq!(server.check(&id, "").await["result"], "exhausted", "an empty one counts, too");
}
