//! Protection of pages and forms: headers, tokens, and the origin stated by the browser.

use reqwest::{Method, StatusCode};
use twotick::clock::Clock;

use crate::office::{Office, SHOP_KEY, Staff, to};
use crate::visitor::{Visitor, form};

/// Every state-changing route below `/console`, with the form fields besides the token.
const CHANGING: [(&str, &[(&str, &str)]); 8] = [
    ("/filters", &[("status", "pending")]),
    ("/preferences", &[("theme", "dark")]),
    ("/sign-out", &[]),
    ("/sign-out-everywhere", &[]),
    ("/verifications/{id}/reveal", &[("reason", "the customer asked")]),
    ("/verifications/{id}/resend", &[("reason", "the customer asked")]),
    ("/verifications/{id}/next", &[("reason", "the customer asked")]),
    ("/verifications/{id}/cancel", &[("reason", "the customer asked")]),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_form_is_refused() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let id = office.create(to("+12025550101")).await;
    let mut olga = Visitor::signed_in(&office, "olga").await;
    let own = olga.get("/console").await.csrf().expect("a token");
    let foreign = Visitor::signed_in(&office, "olga").await.get("/console").await.csrf().expect("a token");
    assert_ne!(own, foreign, "each session has its own");
    let before = olga.get(&format!("/console/verifications/{id}")).await.status;
    let home = office.admin.clone();
    let elsewhere = [
        vec![("origin", "https://evil.test")],
        vec![("origin", "null")],
        vec![("origin", "http://127.0.0.1")],
        vec![("origin", home.as_str()), ("sec-fetch-site", "cross-site")],
        vec![("origin", home.as_str()), ("sec-fetch-site", "same-site")],
        vec![("origin", home.as_str()), ("sec-fetch-site", "none")],
        vec![("sec-fetch-site", "cross-site")],
        vec![],
    ];
    for (route, fields) in CHANGING {
        let path = format!("/console{}", route.replace("{id}", &id));
        for token in [None, Some(""), Some("x"), Some(foreign.as_str()), Some(&own[1..])] {
            let mut all: Vec<_> = token.map(|token| ("csrf", token)).into_iter().collect();
            all.extend_from_slice(fields);
            let answer = olga.post(&path, &all).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} with {token:?}");
        }
        let twice = form(&[("csrf", &own), ("csrf", &own)]);
        let answer = olga.ask(Method::POST, &path, Some(twice), &[("origin", &home)]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path} with a field that comes twice");
        let mut all = vec![("csrf", own.as_str())];
        all.extend_from_slice(fields);
        for headers in &elsewhere {
            let answer = olga.ask(Method::POST, &path, Some(form(&all)), headers).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} from {headers:?}");
        }
        let by_link = olga.get(&format!("{path}?{}", form(&all))).await;
        assert!(by_link.status.is_client_error(), "{path} is no link: {}", by_link.status);
        let unknown = Visitor::new(&office).post(&path, &all).await;
        assert!(
            !unknown.status.is_success() && !unknown.headers.contains_key("set-cookie"),
            "{path} for strangers"
        );
    }
    assert_eq!(olga.get("/console").await.status, StatusCode::OK, "still signed in");
    assert_eq!(olga.get(&format!("/console/verifications/{id}")).await.status, before);
    let path = format!("/v1/verifications/{id}/timeline");
    let (_, timeline) = office.call(Method::GET, SHOP_KEY, &path, None).await;
    let sources: Vec<_> =
        timeline["events"].as_array().expect("events").iter().map(|event| event["source"].clone()).collect();
    assert!(!sources.iter().any(|source| source == "operator"), "{sources:?}");
    let audit = olga.get("/console/audit").await.body;
    assert!(!audit.contains("the customer asked"), "no audit entry for what did not happen");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_has_security_headers_and_no_inline_code() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let id = office.create(to("+12025550100")).await;
    let mut visitor = Visitor::new(&office);
    let mut olga = Visitor::signed_in(&office, "olga").await;
    let mut answers = vec![];
    for path in ["/console", "/console/sign-in", "/console/nothing"] {
        answers.push((path.to_owned(), visitor.get(path).await));
    }
    let seen = format!("/console/verifications/{id}");
    for path in [
        "/console",
        "/console?status=nonsense&since=never",
        "/console/search?q=hello",
        &seen,
        "/console/verifications/ver_nothing",
        "/console/conversations",
        "/console/alerts",
        "/console/audit",
        "/console/nothing",
        "/console/assets/0000/console.css",
    ] {
        answers.push((path.to_owned(), olga.get(path).await));
    }
    answers.push(("POST /console".to_owned(), olga.post("/console", &[]).await));
    for (path, answer) in answers {
        let policy = answer.header("content-security-policy");
        for needed in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(needed), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.header("referrer-policy").contains("same-origin"), "{path}");
        assert_inline_free(&path, &answer.body);
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_cached_forever_under_a_hash() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let mut olga = Visitor::signed_in(&office, "olga").await;
    let page = olga.get("/console").await.body;
    let assets: Vec<_> = page
        .split(['"', '\''])
        .filter(|part| part.starts_with("/console/assets/"))
        .map(str::to_owned)
        .collect();
    assert!(assets.len() >= 3, "a style, a script and an icon: {assets:?}");
    for path in assets {
        // Also without a session: the sign-in form needs them.
        let asset = Visitor::new(&office).get(&path).await;
        assert_eq!(asset.status, StatusCode::OK, "{path}");
        let caching = asset.header("cache-control");
        assert!(caching.contains("immutable") && caching.contains("max-age=31536000"), "{path}: {caching}");
        assert_eq!(asset.header("x-content-type-options"), "nosniff", "{path}");
        assert!(
            !asset.body.contains("https://") && !asset.body.contains("//#"),
            "{path} names another place"
        );
        let (folder, name) = path.rsplit_once('/').expect("a name");
        let other = format!("{}0/{name}", &folder[..folder.len() - 1]);
        if other != path {
            assert_eq!(Visitor::new(&office).get(&other).await.status, StatusCode::NOT_FOUND, "{other}");
        }
    }
    office.close().await;
}

/// The page contains no inline script, style or handler, and loads nothing from other sites.
pub fn assert_inline_free(context: &str, html: &str) {
    for tag in html.split('<').skip(1) {
        let tag = tag.split_once('>').map_or(tag, |(tag, _)| tag).to_lowercase();
        let name = tag.split([' ', '\n', '/']).next().unwrap_or_default();
        assert!(
            name != "style" && name != "iframe" && name != "base" && name != "object",
            "{context}: <{tag}>"
        );
        assert!(name != "script" || tag.contains(" src=\"/console/assets/"), "{context}: <{tag}>");
        // The parts outside quoted values.
        let bare: String = tag.split('"').step_by(2).collect();
        for word in bare.split_whitespace().skip(1) {
            let attribute = word.split('=').next().unwrap_or_default();
            assert!(!attribute.starts_with("on") && attribute != "style", "{context}: <{tag}>");
        }
        for place in
            ["href=\"http", "src=\"http", "href=\"//", "src=\"//", "action=\"http", "href=\"javascript"]
        {
            assert!(!tag.contains(place), "{context}: <{tag}>");
        }
    }
}
