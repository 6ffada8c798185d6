use std::time::Duration;

use serde_json::json;

use crate::support::{NUMBER, problem, server};

#[tokio::test(flavor = "multi_thread")]
async fn the_right_code_is_approved_once_then_already_approved() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let (right, wrong) = (server.code_of(&id).await, server.wrong_code_of(&id).await);

    let first = server.check(&id, &wrong).await;
    assert_eq!((&first["result"], &first["checks_left"]), (&json!("wrong_code"), &json!(2)));
    assert_eq!(first["verification"]["status"], "pending");
    let second = server.check(&id, &right).await;
    assert_eq!((&second["result"], &second["checks_left"]), (&json!("approved"), &json!(2)));
    assert_eq!(second["verification"]["status"], "approved");
    let again = server.check(&id, &right).await;
    assert_eq!((&again["result"], &again["checks_left"]), (&json!("already_approved"), &json!(2)));
    assert_eq!(server.read(&id).await["version"], second["verification"]["version"]);
}

/// A client that accepts both `approved` and `already_approved` must not be deceived by any other code.
#[tokio::test(flavor = "multi_thread")]
async fn after_an_approval_another_code_is_wrong_and_cannot_be_guessed() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let right = server.code_of(&id).await;
    assert_eq!(server.check(&id, &right).await["result"], "approved");
    let number = right.parse::<u32>().unwrap();
    let guesses: Vec<_> = (1..=60).map(|n| format!("{:06}", (number + n) % 1_000_000)).collect();
    for (guess, left) in guesses[..2].iter().zip([2, 1]) {
        let checked = server.check(&id, guess).await;
        assert_eq!((&checked["result"], &checked["checks_left"]), (&json!("wrong_code"), &json!(left)));
        assert_eq!(checked["verification"]["status"], "approved");
        assert_eq!(server.check(&id, &right).await["result"], "already_approved");
    }
    let results =
        futures_util::future::join_all(guesses[2..].iter().map(|guess| server.check(&id, guess))).await;
    for checked in results {
        assert_eq!((&checked["result"], &checked["checks_left"]), (&json!("wrong_code"), &json!(0)));
    }
    assert_eq!(server.check(&id, &right).await["result"], "wrong_code", "nothing more is compared");
    let types = server.types(&id).await;
    assert_eq!(types.iter().filter(|kind| *kind == "check_failed").count(), 3);
    assert!(!types.contains(&"checks_exhausted".to_owned()));
    assert_eq!(server.read(&id).await["status"], "approved");
}

/// The key of the code is destroyed after 12 minutes; then no code is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn once_its_key_is_destroyed_no_code_is_accepted() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let right = server.code_of(&id).await;
    assert_eq!(server.check(&id, &right).await["result"], "approved");
    server.clock.advance(Duration::from_secs(20 * 60));
    assert!(server.vault.forget_codes(server.clock.now()).unwrap() > 0);
    assert_eq!(server.check(&id, &right).await["result"], "wrong_code");
    let types = server.types(&id).await;
    assert!(!types.contains(&"check_failed".to_owned()), "what cannot be compared is no try: {types:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_other_end_no_answer_depends_on_the_code() {
    let server = server().await;
    for ending in ["expired", "canceled", "exhausted"] {
        let id = server.created().await["id"].as_str().unwrap().to_owned();
        let (right, wrong) = (server.code_of(&id).await, server.wrong_code_of(&id).await);
        match ending {
            "expired" => server.clock.advance(Duration::from_secs(600)),
            "canceled" => {
                server.post(&format!("/v1/verifications/{id}/cancel"), &json!({})).send().await.unwrap();
            }
            _ => {
                for _ in 0..3 {
                    server.check(&id, &wrong).await;
                }
            }
        }
        let left = server.check(&id, &right).await["checks_left"].clone();
        for code in [&right, &wrong, &right] {
            let checked = server.check(&id, code).await;
            assert_eq!((&checked["result"], &checked["checks_left"]), (&json!(ending), &left));
            assert_eq!(checked["verification"]["status"], ending);
        }
        let types = server.types(&id).await;
        let tried = types.iter().filter(|kind| *kind == "check_failed").count();
        assert_eq!(tried, if ending == "exhausted" { 3 } else { 0 }, "{ending}");
    }
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
async fn a_code_is_valid_only_before_its_expiry() {
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

/// Any number of concurrent checks compare at most `max_checks` codes.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_guesses_gain_nothing() {
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
async fn a_code_is_accepted_as_people_type_it() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let right = server.code_of(&id).await;
    let (front, back) = right.split_at(3);
    let in_script = |zero: u32| -> String {
        right.chars().map(|digit| char::from_u32(zero + digit.to_digit(10).unwrap()).unwrap()).collect()
    };
    let spellings = [
        format!("{front} {back}"),
        format!("{front}-{back}"),
        format!("{front}.{back}"),
        format!("{front}\u{2013}{back}"),
        format!("{front}\u{2212}{back}"),
        format!(" \t{front}\u{a0}{back}\r\n"),
        format!("{front}\u{202f}{back}"),
        format!("\u{feff}{front}\u{200b}{back}\u{200e}"),
        format!("\u{2066}{right}\u{2069}"),
        format!("{front}\u{ad}{back}"),
        right.chars().map(|digit| format!("{digit}\u{fe0f}\u{20e3} ")).collect(),
        in_script(0xff10),
        in_script(0x660),
        in_script(0x6f0),
        in_script(0x966),
        in_script(0xe50),
        in_script(0x1d7ce),
    ];
    assert_eq!(server.check(&id, &spellings[0]).await["result"], "approved");
    for spelling in spellings {
        assert_eq!(server.check(&id, &spelling).await["result"], "already_approved", "{spelling:?}");
    }
    let wrong = server.wrong_code_of(&id).await;
    assert_eq!(server.check(&id, &format!("{}-{}", &wrong[..3], &wrong[3..])).await["result"], "wrong_code");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_codes_are_refused_and_do_not_count() {
    let server = server().await;
    let id = server.created().await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/verifications/{id}/check");
    let right = server.code_of(&id).await;
    for no_code in [
        String::new(),
        " ".to_owned(),
        "\u{200b}".to_owned(),
        "-".to_owned(),
        "wrong".to_owned(),
        "12345".to_owned(),
        "1234567".to_owned(),
        format!("{right}{right}"),
        format!("{right}x"),
        format!("{},{}", &right[..3], &right[3..]),
        format!("{right}\u{0}"),
        "1234O6".to_owned(),
        "①②③④⑤⑥".to_owned(),
        "ü".repeat(64),
        "1".repeat(60_000),
    ] {
        let response = server.post(&path, &json!({ "code": no_code })).send().await.unwrap();
        let refused = problem(response, 422, "not_a_code").await;
        assert_eq!(refused["errors"][0]["pointer"], "/code");
        assert!(!refused.to_string().contains(&right), "{refused}");
    }
    for wrong in
        [json!({}), json!({ "code": 493817 }), json!({ "code": null }), json!({ "code": right, "more": 1 })]
    {
        let response = server.post(&path, &wrong).send().await.unwrap();
        problem(response, 422, "invalid_request").await;
    }
    assert_eq!(server.read(&id).await["checks_left"], 3, "none of these was a try");
    server.check(&id, &right).await;
    let response = server.post(&path, &json!({ "code": "" })).send().await.unwrap();
    problem(response, 422, "not_a_code").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_code_is_compared_without_outer_spaces() {
    let server = server().await;
    let id = server.create(json!({ "to": NUMBER, "profile": "bring", "code": "12Ab" })).await["id"].clone();
    let id = id.as_str().unwrap();
    let path = format!("/v1/verifications/{id}/check");
    for no_code in ["", "12-Ab", "12 Ab", "12A", "１２Ab", "12345678901"] {
        let response = server.post(&path, &json!({ "code": no_code })).send().await.unwrap();
        problem(response, 422, "not_a_code").await;
    }
    assert_eq!(server.check(id, "12ab").await["checks_left"], 2);
    assert_eq!(server.check(id, "\u{a0} 12Ab\u{200b}\n").await["result"], "approved");
    assert_eq!(server.check(id, "12Ab").await["result"], "already_approved");
}
