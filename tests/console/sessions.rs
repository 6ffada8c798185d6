//! Signing in and out, the duration of sessions, and the delays after guessing.

use std::time::Duration;

use reqwest::StatusCode;
use twotick::clock::{Clock, ManualClock};

use crate::office::{Office, PASSWORD, Staff};
use crate::visitor::Visitor;

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_redirects_to_the_form_and_back() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let mut visitor = Visitor::new(&office);
    let wanted = visitor.get("/console?status=pending&country=DE").await;
    assert_eq!(wanted.status, StatusCode::SEE_OTHER);
    let form = visitor.get(wanted.location()).await;
    assert_eq!(form.status, StatusCode::OK);
    let csrf = form.csrf().expect("a token");
    let fields = [
        ("csrf", csrf.as_str()),
        ("name", "sam"),
        ("password", PASSWORD),
        ("next", "/console?status=pending&country=DE"),
    ];
    let signed_in = visitor.post("/console/sign-in", &fields).await;
    assert_eq!(
        (signed_in.status, signed_in.location()),
        (StatusCode::SEE_OTHER, "/console?status=pending&country=DE")
    );
    assert_eq!(visitor.get("/console?status=pending&country=DE").await.status, StatusCode::OK);
    for foreign in ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:hostile(1)", "/metrics"]
    {
        let mut other = Visitor::new(&office);
        let csrf = other.get("/console/sign-in").await.csrf().expect("a token");
        let fields = [("csrf", csrf.as_str()), ("name", "sam"), ("password", PASSWORD), ("next", foreign)];
        assert_eq!(other.post("/console/sign-in", &fields).await.location(), "/console", "{foreign}");
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_bound_to_the_browser_and_new_with_each_sign_in() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let mut visitor = Visitor::new(&office);
    let answer = visitor.sign_in("sam", PASSWORD).await;
    let cookies: Vec<_> =
        answer.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok()).collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with("twotick=")).expect("a session");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(session.contains(attribute), "{session}");
    }
    assert!(!session.contains("Domain") && !session.contains("Max-Age"), "{session}");

    // A planted token, or one of an earlier session, is not valid after a sign-in.
    let first = visitor.cookies["twotick"].clone();
    visitor.cookies.insert("twotick".to_owned(), "A".repeat(43));
    assert_eq!(visitor.sign_in("sam", PASSWORD).await.status, StatusCode::SEE_OTHER);
    let second = visitor.cookies["twotick"].clone();
    assert!(second != first && second != "A".repeat(43));
    let mut planted = Visitor::new(&office);
    planted.cookies.insert("twotick".to_owned(), "A".repeat(43));
    assert_eq!(planted.get("/console").await.status, StatusCode::SEE_OTHER);
    // With two cookies neither counts, because one may be forged.
    let both = format!("twotick={first}; twotick={second}");
    let mut torn = Visitor::new(&office);
    torn.headers.insert("cookie", both.parse().expect("visible"));
    assert_eq!(torn.get("/console").await.status, StatusCode::SEE_OTHER);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_idle_and_at_the_latest_after_half_a_day() {
    let clock = ManualClock::starting_at(Clock::System.now());
    let office = Office::open(Clock::Manual(clock.clone()), Staff::Everybody).await;
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let mut visitor = Visitor::signed_in(&office, "sam").await;
    clock.advance(minutes(29));
    assert_eq!(visitor.get("/console").await.status, StatusCode::OK);
    clock.advance(minutes(29));
    assert_eq!(visitor.get("/console").await.status, StatusCode::OK, "use keeps it open");
    clock.advance(minutes(30));
    assert_eq!(visitor.get("/console").await.status, StatusCode::SEE_OTHER);

    let mut busy = Visitor::signed_in(&office, "sam").await;
    for _ in 0..35 {
        clock.advance(minutes(20));
        assert_eq!(busy.get("/console").await.status, StatusCode::OK);
    }
    clock.advance(minutes(20));
    assert_eq!(busy.get("/console").await.status, StatusCode::SEE_OTHER, "12 h are over");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_one_session_and_everywhere_ends_all_of_that_user() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let mut here = Visitor::signed_in(&office, "sam").await;
    let mut there = Visitor::signed_in(&office, "sam").await;
    let mut other = Visitor::signed_in(&office, "olga").await;
    let kept = here.cookies.clone();
    let out = here.post_from("/console", "/console/sign-out", &[]).await;
    assert_eq!((out.status, out.location()), (StatusCode::SEE_OTHER, "/console/sign-in"));
    assert!(!here.cookies.contains_key("twotick"), "the browser forgets it");
    here.cookies = kept;
    assert_eq!(here.get("/console").await.status, StatusCode::SEE_OTHER, "and the server too");
    assert_eq!(there.get("/console").await.status, StatusCode::OK);

    let mut third = Visitor::signed_in(&office, "sam").await;
    there.post_from("/console", "/console/sign-out-everywhere", &[]).await;
    assert_eq!(third.get("/console").await.status, StatusCode::SEE_OTHER);
    assert_eq!(other.get("/console").await.status, StatusCode::OK);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_passwords_delay_only_that_account() {
    let clock = ManualClock::starting_at(Clock::System.now());
    let office = Office::open(Clock::Manual(clock.clone()), Staff::Everybody).await;
    for name in ["sam", "nobody"] {
        let mut guesser = Visitor::new(&office);
        let mut shown = Vec::new();
        for _ in 0..5 {
            let answer = guesser.sign_in(name, "a wrong one for sure").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
            shown.push(main_of(&answer.body).replace(name, "NAME"));
        }
        assert!(shown.windows(2).all(|pair| pair[0] == pair[1]), "{name}: each answer is the same");
    }
    let mut sam = Visitor::new(&office);
    let mut nobody = Visitor::new(&office);
    let mut waits = Vec::new();
    for _ in 0..3 {
        // Attempts continue until the delay is announced; then even the right password does not help.
        for visitor in [(&mut sam, "sam"), (&mut nobody, "nobody")] {
            let (visitor, name) = visitor;
            visitor.sign_in(name, "a wrong one for sure").await;
            let slow = visitor.sign_in(name, PASSWORD).await;
            assert_eq!(slow.status, StatusCode::TOO_MANY_REQUESTS, "{name}");
            waits.push(main_of(&slow.body).replace(name, "NAME"));
        }
        clock.advance(Duration::from_secs(60));
    }
    for pair in waits.chunks(2) {
        assert_eq!(pair[0], pair[1], "a name that nobody has is answered the same");
    }
    assert_eq!(Visitor::new(&office).sign_in("olga", PASSWORD).await.status, StatusCode::SEE_OTHER);
    clock.advance(Duration::from_secs(60 * 60));
    assert_eq!(Visitor::new(&office).sign_in("sam", PASSWORD).await.status, StatusCode::SEE_OTHER);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_users_every_page_only_explains_how_to_add_one() {
    let office = Office::open(Clock::System, Staff::Nobody).await;
    let id = office.create(crate::office::to("+12025550100")).await;
    let mut visitor = Visitor::new(&office);
    for path in [
        "/console",
        "/console/sign-in",
        &format!("/console/verifications/{id}"),
        "/console/audit",
        "/console/x",
    ] {
        let page = visitor.get(path).await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(page.body.contains("twotick user hash") && page.body.contains("[[console.users]]"), "{path}");
        assert!(!page.body.contains(&id), "{path}");
    }
    let posted = visitor.post("/console/sign-in", &[("name", "sam"), ("password", PASSWORD)]).await;
    assert!(!posted.status.is_success() && !posted.status.is_redirection(), "{}", posted.status);
    assert!(!posted.headers.contains_key("set-cookie"));
    office.close().await;
}

/// The page without its tokens, which differ between requests.
fn main_of(body: &str) -> String {
    let (_, main) = body.split_once("<main").expect("a page has a main part");
    let mut parts = main.split("name=\"csrf\" value=\"");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once('"').map_or("", |(_, rest)| rest));
    }
    text
}
