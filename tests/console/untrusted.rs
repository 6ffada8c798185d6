//! Hostile texts on every page and in downloads, and data that no page may show.

use reqwest::StatusCode;
use twotick::clock::Clock;

use crate::guard::assert_inline_free;
use crate::hostile::{self, Hostile};
use crate::office::{Office, Staff, to};
use crate::visitor::{Answer, Visitor, encoded};

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_are_inert_on_every_page() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let ids = office.be_written_to().await;
    let mut olga = Visitor::signed_in(&office, "olga").await;
    let mut pages: Vec<String> =
        ["", "/conversations", "/alerts", "/audit"].map(|page| format!("/console{page}")).into();
    pages.extend(ids.iter().map(|id| format!("/console/verifications/{id}")));
    for path in pages {
        let page = olga.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_harmless(&path, &page);
    }
    let conversations = olga.get("/console/conversations").await.body;
    let people = links(&conversations, "/console/conversations/");
    assert!(!people.is_empty(), "there is somebody to read of");
    for path in people {
        assert_harmless(&path, &olga.get(&path).await);
    }
    for hostile in hostile::texts() {
        let text: String = hostile.text.chars().take(500).collect();
        for path in [
            format!("/console/search?q={}", encoded(&text)),
            format!(
                "/console?status={0}&channel={0}&error={0}&country={0}&profile={0}&app={0}",
                encoded(&text)
            ),
            format!("/console?since={0}&until={0}&fallback={0}&delivery={0}&before={0}", encoded(&text)),
            format!("/console/verifications/{}", encoded(&text)),
            format!("/console/conversations/{}", encoded(&text)),
            format!("/console/audit?before={}", encoded(&text)),
            format!("/console/sign-in?next={}", encoded(&text)),
            format!("/console/{}", encoded(&text)),
        ] {
            let page = olga.get(&path).await;
            assert!(!page.status.is_server_error(), "{}: {path:.200}: {}", hostile.name, page.status);
            assert!(!page.headers.contains_key("refresh"), "{}", hostile.name);
            assert_inline_free(hostile.name, &page.body);
        }
        let mut stranger = Visitor::new(&office);
        let page = stranger.sign_in(&text, "what a password").await;
        assert!(
            matches!(page.status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST),
            "{}: {}",
            hostile.name,
            page.status
        );
        assert_inline_free(hostile.name, &page.body);
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_contain_no_formulas() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let ids = office.be_written_to().await;
    let mut sam = Visitor::signed_in(&office, "sam").await;
    for (query, delimiter) in [("", b','), ("?separator=semicolon", b';')] {
        let answer = sam.get(&format!("/console/verifications.csv{query}")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.header("content-type").starts_with("text/csv"));
        assert!(answer.header("content-disposition").starts_with("attachment"));
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(answer.body.as_bytes());
        let rows: Vec<_> = reader.records().collect::<Result<_, _>>().expect("every row has as many fields");
        assert_eq!(rows.len(), ids.len());
        for field in rows.iter().flatten() {
            let first = field.chars().next().unwrap_or('x');
            assert!(
                !"=+-@\t\r\n\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(first),
                "{field:?} would be calculated"
            );
            assert!(!field.chars().any(|letter| letter.is_control()), "{field:?}");
            assert!(!field.contains("2025550"), "{field:?} holds a number");
        }
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_full_numbers_are_never_shown() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let number = "+12025550100";
    let id = office.create(to(number)).await;
    office.until(&id, |now| now["delivery"]["state"] == "read").await;
    let code = office.code(number);
    let inbound = Hostile { name: "quoted code", text: format!("my code is {code}, my number {number}") };
    office.deliver("whatsapp", &office.business().inbound(number, &inbound, 1)).await;
    let number_searched = format!("/console/search?q={}", encoded(number));
    for name in ["vera", "sam", "olga"] {
        let mut visitor = Visitor::signed_in(&office, name).await;
        let timeline = format!("/console/verifications/{id}");
        for path in ["/console", &timeline, "/console/verifications.csv", "/console/alerts", "/console/audit"]
        {
            let page = visitor.get(path).await;
            assert!(!page.body.contains(&code), "{name} at {path}");
            assert!(!page.body.contains("2025550100"), "{name} at {path}");
        }
        let found = visitor.get(&number_searched).await;
        assert!(!words_of(&found.body).contains("2025550100"), "{name}: it stands in the search box alone");
        assert!(
            !links(&found.body, "/")
                .iter()
                .any(|link| link.contains("2025550100") && !link.starts_with("/console/search?"))
        );
        assert!(!found.location().contains("2025550100"), "{name}: {}", found.location());
        let asked = visitor.post_from("/console", "/console/search", &[("q", number)]).await;
        if name == "vera" {
            assert_eq!(asked.status, StatusCode::OK, "told that the role does not search by number");
            assert!(!asked.body.contains(&id), "{name}");
        } else {
            assert_eq!(asked.status, StatusCode::SEE_OTHER, "{name}");
            let leads_to = asked.location().to_owned();
            assert!(!leads_to.contains("2025550100"), "{name}: {leads_to}");
            let page = visitor.get(&leads_to).await;
            assert!(page.body.contains(&id) && !page.body.contains("2025550100"), "{name} at {leads_to}");
        }
    }
    office.close().await;
}

fn assert_harmless(context: &str, page: &Answer) {
    assert_inline_free(context, &page.body);
    for letter in page.body.chars() {
        assert!(
            !letter.is_control() || matches!(letter, '\n' | '\t'),
            "{context}: {:?} stands in the page",
            letter
        );
    }
}

/// The text between the tags.
fn words_of(html: &str) -> String {
    html.split('<').filter_map(|part| part.split_once('>')).map(|(_, words)| words).collect()
}

/// All links with this prefix.
fn links(page: &str, start: &str) -> Vec<String> {
    let mut links: Vec<_> =
        page.split('"').filter(|part| part.starts_with(start)).map(str::to_owned).collect();
    links.sort();
    links.dedup();
    links
}
