//! Numbers at the console: found in any notation, never in a URL, masked in texts, and protected against enumeration.

use reqwest::StatusCode;
use serde_json::{Value, json};
use twotick::clock::{Clock, ManualClock};

use crate::hostile::Hostile;
use crate::office::{BANK_KEY, Office, Staff, to};
use crate::visitor::{Answer, Visitor};

/// The digits of a text without separators.
fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

async fn search(visitor: &mut Visitor<'_>, typed: &str) -> (Answer, Answer) {
    let asked = visitor.post_from("/console", "/console/search", &[("q", typed)]).await;
    let place = asked.location().to_owned();
    let shown =
        if place.is_empty() { visitor.get("/console/search").await } else { visitor.get(&place).await };
    (asked, shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_found_in_any_notation_and_are_never_in_a_url() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let id = office.create(to("+33612340987")).await;
    let mut sam = Visitor::signed_in(&office, "sam").await;
    for typed in [
        "+33 06 12 34 09 87",
        "0033 06 12 34 09 87",
        "Tel: +33\u{2212}6\u{2212}12340987",
        "\u{202a}+33 6 12 34 09 87\u{202c}",
        "https://wa.me/33612340987",
        "+٣٣ ٦ ١٢ ٣٤ ٠٩ ٨٧ ext. 5",
    ] {
        let (asked, shown) = search(&mut sam, typed).await;
        assert_eq!(asked.status, StatusCode::SEE_OTHER, "{typed}");
        assert!(!digits(asked.location()).contains("612340987"), "{typed}: {}", asked.location());
        assert!(shown.body.contains(&format!("/console/verifications/{id}")), "{typed}: {}", shown.body);
        assert!(shown.body.contains("0987"), "the mask shows what the search takes");
    }
    let (_, by_end) = search(&mut sam, "0987").await;
    assert!(by_end.body.contains(&id));
    // The list's filters accept a number too, and convert it to its blind index.
    let filtered = sam.post_from("/console", "/console/filters", &[("who", "0033 (0)6 12 34 09 87")]).await;
    assert_eq!(filtered.status, StatusCode::SEE_OTHER);
    assert!(
        filtered.location().starts_with("/console?number=")
            && !digits(filtered.location()).contains("612340987")
    );
    let place = filtered.location().to_owned();
    assert!(sam.get(&place).await.body.contains(&id));
    // Unrecognized input is sealed.
    for typed in [
        "order 33612340987",
        "0999 33612340987 0999 33612340987",
        "wamid.HBgLMzM2MTIzNDA5ODc",
        "a٣٣٦١٢٣٤٠٩٨٧",
    ] {
        let (asked, shown) = search(&mut sam, typed).await;
        let place = asked.location();
        assert!(place.starts_with("/console/search?q=~"), "{typed}: {place}");
        assert!(!digits(place).contains("33612340987") && !place.contains("HBgL"), "{typed}: {place}");
        assert_eq!(shown.status, StatusCode::OK, "{typed}");
        for attribute in ["href=\"", "action=\"", "name=\"return\" value=\"", "<title>"] {
            let addresses =
                shown.body.split(attribute).skip(1).filter_map(|rest| rest.split(['"', '<']).next());
            for address in addresses {
                assert!(!digits(address).contains("33612340987"), "{typed}: {address}");
            }
        }
    }
    // A number in a requested URL is never repeated in another one.
    let mut stranger = Visitor::new(&office);
    let sent = stranger.get("/console/search?q=%2B33612340987&range=7d").await;
    assert_eq!(sent.location(), "/console/sign-in?next=/console/search%3Frange%3D7d");
    let back =
        sam.post_from("/console", "/console/preferences", &[("return", "/console?ref=33612340987")]).await;
    assert_eq!(back.location(), "/console");
    let kept = sam.get("/console?ref=33612340987").await;
    assert!(kept.status == StatusCode::SEE_OTHER && kept.location().starts_with("/console?ref=~"));
    office.close().await;
}

async fn audit(office: &Office) -> Vec<Value> {
    let mut olga = Visitor::signed_in(office, "olga").await;
    let log = olga.get("/console/audit.ndjson").await.body;
    log.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect()
}

fn of<'a>(log: &'a [Value], by: &str, action: &str) -> Vec<&'a Value> {
    log.iter().filter(|entry| entry["by"] == by && entry["action"] == action).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_are_audited_once_without_the_number() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let number = "+12025550101";
    let id = office.create(to(number)).await;
    let mut sam = Visitor::signed_in(&office, "sam").await;
    for typed in [number, "001 202 555 0101", "0101", "0101", "no number"] {
        search(&mut sam, typed).await;
    }
    for _ in 0..3 {
        sam.get(&format!("/console/verifications/{id}")).await;
    }
    let list = sam.get("/console/verifications.csv?status=pending&ref=order-17").await;
    assert_eq!(list.status, StatusCode::OK);
    sam.post_from("/console", "/console/sign-out-everywhere", &[]).await;
    let log = audit(&office).await;
    let searched = of(&log, "sam", "searched");
    assert_eq!(searched.len(), 2, "one of the number, one of its end: {searched:?}");
    let details: Vec<_> = searched.iter().map(|entry| entry["detail"].as_str().unwrap_or_default()).collect();
    assert!(details[0].starts_with("tail=") && details[1].starts_with("number="), "{details:?}");
    let opened = of(&log, "sam", "opened");
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0]["verification"], id.as_str());
    let exported = of(&log, "sam", "exported_list");
    let detail = exported[0]["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with("status=pending&ref=") && detail.ends_with(" rows=0"), "{detail}");
    assert_eq!(of(&log, "sam", "signed_out_everywhere").len(), 1);
    let whole = serde_json::to_string(&log).expect("JSON");
    assert!(!digits(&whole).contains("2025550101") && !whole.contains("order-17"), "{whole}");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_digits_cannot_be_enumerated() {
    let clock = ManualClock::starting_at(Clock::System.now());
    let office = Office::open(Clock::Manual(clock.clone()), Staff::Everybody).await;
    let mut sam = Visitor::signed_in(&office, "sam").await;
    let mut done = 0;
    let refused = loop {
        let answer =
            sam.post_from("/console/search", "/console/search", &[("q", &format!("+12025{done:06}"))]).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        done += 1;
        assert!(done <= 100, "there is a limit");
    };
    assert!((10..=60).contains(&done), "people are not kept from work: {done}");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=60).contains(&seconds)));
    for path in ["/console?tail=0001", "/console?number=000102030405060708090a0b0c0d0e0f"] {
        assert_eq!(sam.get(path).await.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
    let mut walt = Visitor::signed_in(&office, "walt").await;
    let other = walt.post_from("/console", "/console/search", &[("q", "+12025000001")]).await;
    assert_eq!(other.status, StatusCode::OK, "others search on");
    let alerts = Visitor::signed_in(&office, "olga").await.get("/console/alerts").await.body;
    assert!(alerts.contains("lookup_limit") && alerts.contains("sam"), "{alerts}");
    clock.advance(std::time::Duration::from_secs(60));
    let again = sam.post_from("/console", "/console/search", &[("q", "+12025999999")]).await;
    assert_eq!(again.status, StatusCode::OK);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_numbers_are_masked_in_any_notation() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let number = "+12025550100";
    let id = office.create(to(number)).await;
    office.until(&id, |now| now["delivery"]["state"] == "read").await;
    let code = office.code(number);
    let arabic: String =
        code.chars().map(|digit| char::from_u32(0x660 + u32::from(digit) - 0x30).unwrap_or(digit)).collect();
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let unseen = format!("{}\u{200b}{}", &code[..3], &code[3..]);
    let text = format!("a {spaced} b {arabic} c {unseen} d 1-202-555-0100 e");
    office
        .deliver("whatsapp", &office.business().inbound(number, &Hostile { name: "quoted", text }, 1))
        .await;
    let text = "Jo changed from +1 202 555 0100 to +49 1522 8817386".to_owned();
    let mut moved = office.business().inbound(number, &Hostile { name: "moved", text: text.clone() }, 2);
    let message = &mut moved["entry"][0]["changes"][0]["value"]["messages"][0];
    message["type"] = json!("system");
    message["system"] = json!({ "body": text, "type": "user_changed_number", "wa_id": "4915228817386" });
    office.deliver("whatsapp", &moved).await;
    let mut sam = Visitor::signed_in(&office, "sam").await;
    let people = sam.get("/console/conversations").await.body;
    let (_, after) = people.split_once("/console/conversations/").expect("a person");
    let index: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
    let person = sam.get(&format!("/console/conversations/{index}")).await.body;
    let (_, shown) = person.split_once("class=\"messages\"").expect("messages");
    let (shown, _) = shown.split_once("</ol>").expect("an end");
    assert!(shown.contains("a ••• ••• b •••••• c"), "{shown}");
    assert!(shown.contains("Jo changed from +• ••• ••• •••• to +•• •••• •••••••"), "{shown}");
    assert!(shown.contains("WhatsApp reports:"), "{shown}");
    assert!(!shown.contains(&code) && !shown.contains(&arabic) && !shown.contains("8817386"), "{shown}");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_persons_number_is_masked_in_an_apps_reference() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let mut body = to("+12025550101");
    body["client_ref"] = "user 1-202-555-0101".into();
    let id = office.create(body).await;
    let mut sam = Visitor::signed_in(&office, "sam").await;
    for path in ["/console", &format!("/console/verifications/{id}"), "/console/verifications.csv"] {
        let page = sam.get(path).await.body;
        assert!(page.contains("user •-•••-•••-••••") && !page.contains("202-555-0101"), "{path}: {page}");
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restricted_users_see_no_data_of_other_apps() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let number = "+12025550101";
    let bank = office.create_as(BANK_KEY, to(number)).await;
    office.until_as(BANK_KEY, &bank, |now| now["delivery"]["state"] == "sent").await;
    let shop = office.create(to("+12025551101")).await;
    let mut olga = Visitor::signed_in(&office, "olga").await;
    for (id, reason) in [(&bank, "the bank's reason"), (&shop, "the shop's reason")] {
        let page = format!("/console/verifications/{id}");
        olga.post_from(&page, &format!("{page}/reveal"), &[("reason", reason)]).await;
    }
    office.deliver("whatsapp", &json!({ "strange": "of the bank's customer" })).await;
    let said = |text: &str| Hostile { name: "said", text: text.to_owned() };
    office.deliver("whatsapp", &office.business().inbound(number, &said("to the bank"), 1)).await;
    office.deliver("whatsapp", &office.business().inbound("+12025559999", &said("to nobody"), 2)).await;
    let mut bound = Visitor::signed_in(&office, "shop.olga").await;
    for path in [
        "/console",
        "/console/alerts",
        "/console/audit",
        "/console/audit.ndjson",
        "/console/conversations",
        "/console/verifications.csv",
        "/console/health",
        "/console/search?q=bank",
    ] {
        let page = bound.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        for foreign in [
            &*bank,
            "the bank's reason",
            "the bank&#39;s reason",
            "customer",
            "to the bank",
            "to nobody",
            "signed in",
            "olga\",\"action\":\"signed_in",
        ] {
            let own = foreign == "signed in" || foreign.starts_with("olga\"");
            assert!(
                own && page.body.contains("shop.olga") || !page.body.contains(foreign),
                "{path}: {foreign}"
            );
        }
        for figure in ["under way", " % errors", "GB free"] {
            assert!(!page.body.contains(figure), "{path}: {figure}");
        }
    }
    let audit = bound.get("/console/audit").await.body;
    assert!(audit.contains("the shop&#39;s reason") && audit.contains(&shop), "{audit}");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_of_erased_persons_are_hidden_in_the_audit_log() {
    let office = Office::open(Clock::System, Staff::Everybody).await;
    let id = office.create(to("+12025550101")).await;
    let mut olga = Visitor::signed_in(&office, "olga").await;
    let page = format!("/console/verifications/{id}");
    olga.post_from(&page, &format!("{page}/reveal"), &[("reason", "Ms Lovelace called")]).await;
    assert!(olga.get("/console/audit").await.body.contains("Ms Lovelace called"));
    office.erase("+12025550101").await;
    for path in ["/console/audit", "/console/audit.ndjson", &page] {
        assert!(!olga.get(path).await.body.contains("Lovelace"), "{path}");
    }
    office.close().await;
}
