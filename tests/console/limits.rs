//! Nobody is locked out by password guessing elsewhere, by a crowd of sign-ins, or by many open lists.

use reqwest::StatusCode;
use twotick::clock::{Clock, ManualClock};

use crate::office::{Office, PASSWORD, Staff};
use crate::visitor::Visitor;

fn from<'o>(office: &'o Office, address: &str) -> Visitor<'o> {
    let mut visitor = Visitor::new(office);
    visitor.headers.insert("x-forwarded-for", address.parse().expect("visible"));
    visitor
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_a_name_does_not_lock_out_its_owner() {
    let clock = ManualClock::starting_at(Clock::System.now());
    let office = Office::open(Clock::Manual(clock.clone()), Staff::Everybody).await;
    let mut known = Visitor::signed_in(&office, "sam").await;
    let mut attacker = Visitor::new(&office);
    for _ in 0..10 {
        attacker.sign_in("sam", "a wrong one for sure").await;
    }
    assert_eq!(attacker.sign_in("sam", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    // The same address, with a known device.
    known.cookies.remove("twotick");
    assert_eq!(known.sign_in("sam", PASSWORD).await.status, StatusCode::SEE_OTHER);
    // Another address, with an unknown device.
    assert_eq!(from(&office, "192.0.2.7").sign_in("sam", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(from(&office, "2001:db8::7").sign_in("sam", PASSWORD).await.status, StatusCode::SEE_OTHER);
    // Entries that the client adds before the proxy's are ignored.
    let mut liar = from(&office, "198.51.100.1, 127.0.0.1");
    assert_eq!(liar.sign_in("sam", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    // The cookie is valid for its name only, and signs nobody in.
    let cookie = known.cookies["twotick-device"].clone();
    let mut thief = Visitor::new(&office);
    thief.cookies.insert("twotick-device".to_owned(), cookie);
    assert_eq!(thief.get("/console").await.status, StatusCode::SEE_OTHER);
    for _ in 0..5 {
        assert_eq!(thief.sign_in("sam", "a wrong one for sure").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(
        thief.sign_in("sam", PASSWORD).await.status,
        StatusCode::TOO_MANY_REQUESTS,
        "it guesses no better"
    );
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_unknown_names_does_not_block_sign_in() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let crowd = (0..24).map(|n| {
        let office = &office;
        async move { from(office, "192.0.2.66").sign_in(&format!("invented{n}"), "a wrong one").await.status }
    });
    let crowd = futures_util::future::join_all(crowd);
    let staff = async {
        let mut sam = from(&office, "192.0.2.7");
        let mut olga = from(&office, "192.0.2.66");
        (sam.sign_in("sam", PASSWORD).await.status, olga.sign_in("olga", PASSWORD).await.status)
    };
    let (crowd, staff) = futures_util::future::join(crowd, staff).await;
    assert_eq!(staff, (StatusCode::SEE_OTHER, StatusCode::SEE_OTHER));
    assert!(crowd.iter().all(|status| *status == StatusCode::UNAUTHORIZED), "{crowd:?}");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_viewer_cannot_take_all_live_streams() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let follow = async |visitor: &Visitor<'_>| {
        let session = visitor.cookies["twotick"].clone();
        let request = office.client.get(format!("{}/console/live?after=", office.admin));
        request.header("cookie", format!("twotick={session}")).send().await.expect("an answer")
    };
    let vera = Visitor::signed_in(&office, "vera").await;
    let mut open = Vec::new();
    let refused = loop {
        let answer = follow(&vera).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        open.push(answer);
        assert!(open.len() < 64, "one user takes all");
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(open.len() >= 4, "several tabs are followed");
    let sam = Visitor::signed_in(&office, "sam").await;
    assert_eq!(follow(&sam).await.status(), StatusCode::OK, "others follow theirs");
    drop(open);
    office.close().await;
}
