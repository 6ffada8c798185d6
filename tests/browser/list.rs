//! The list: filters in the URL, the notice of new verifications, the search box, shortcuts, and use without scripts.

use fantoccini::key::Key;
use serde_json::json;

use crate::browser::{Browser, Scripts, Setup, Tongue};
use crate::office::to;
use crate::staff::{at_work, sign_in};
use crate::world::Shared;

/// The targets of the rows' links, in order.
async fn rows(browser: &Browser) -> Vec<String> {
    let found = browser
        .run("return [...document.querySelectorAll('[data-row] a')].map((link) => link.pathname.split('/').pop())")
        .await;
    found.as_array().expect("a list").iter().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

pub async fn a_filter_is_shared_by_its_address(world: Shared) {
    let by_sms = world.ended(1).await;
    let read = world.ended(0).await;
    let browser = at_work(&world, "olga", Setup::default()).await;
    browser.click("details.tool summary").await;
    browser.run("document.querySelector('select[name=channel]').value = 'sms'").await;
    browser.run("document.querySelector('select[name=fallback]').value = 'deadline'").await;
    browser.click("form[action='/console/filters'] button.main").await;
    browser.until("new URLSearchParams(location.search).get('fallback') === 'deadline'").await;
    let shown = rows(&browser).await;
    assert!(shown.contains(&by_sms.to_owned()) && !shown.contains(&read.to_owned()), "{shown:?}");
    assert_eq!(browser.count(".chips [aria-label]").await, 2, "each filter can be taken away");

    let address = browser.url().await;
    let colleague = at_work(&world, "sam", Setup { tongue: Tongue::German, ..Setup::default() }).await;
    colleague.goto(&address).await;
    let same = rows(&colleague).await;
    assert!(shown.iter().all(|id| same.contains(id)), "{shown:?} {same:?}");
    colleague.assert_quiet("a shared address", &[]).await;
    colleague.close().await;

    browser.click(".chips a[aria-label]").await;
    browser.until("document.querySelectorAll('.chips [aria-label]').length === 1").await;
    browser.back().await;
    browser.until("document.querySelectorAll('.chips [aria-label]').length === 2").await;
    browser.assert_quiet("filters", &[]).await;
    browser.close().await;
}

pub async fn what_is_new_is_told_and_nothing_moves(world: Shared) {
    let browser = at_work(&world, "olga", Setup::default()).await;
    browser.goto(&format!("{}/console?app=shop", world.admin)).await;
    let before = rows(&browser).await;
    let id = world.create(to("+12025551400")).await;
    browser.until("parseInt(document.querySelector('a.pill:not([hidden])').textContent) >= 1").await;
    assert_eq!(rows(&browser).await, before, "no row moves by itself");
    assert!(browser.title().await.starts_with('('), "the tab tells too");
    browser.click("a.pill").await;
    browser.until(&format!("document.querySelector('[data-row] a[href$=\"{id}\"]')")).await;
    browser.assert_quiet("the pill", &[]).await;
    browser.close().await;
}

pub async fn the_search_box_says_what_it_recognised(world: Shared) {
    let id = world.ended(1).await.to_owned();
    let message = world.until(&id, |_| true).await;
    let wamid = message["messages"][0]["provider_ref"].as_str().expect("it was accepted").to_owned();
    let carrier = message["messages"][1]["provider_ref"].as_str().expect("it was accepted").to_owned();
    let mut body = to("+12025551402");
    body["client_ref"] = json!("order <17> & more");
    let referenced = world.create(body).await;
    let browser = at_work(&world, "sam", Setup::default()).await;
    browser.until("document.activeElement.id === 'q'").await;
    for (typed, said, found) in [
        ("+1 (202) 555-0101", "phone number", &id),
        ("0012025550101", "phone number", &id),
        ("0101", "last four digits", &id),
        (id.as_str(), "verification", &id),
        (wamid.as_str(), "WhatsApp", &id),
        (carrier.as_str(), "carrier", &id),
        ("order <17> & more", "reference", &referenced),
    ] {
        browser.fill("#q", typed).await;
        browser.run("window.before = true").await;
        browser.press_key(Key::Enter).await;
        browser.until("!window.before && document.readyState === 'complete'").await;
        let recognised = browser.text("main [role=status]").await;
        assert!(recognised.to_lowercase().contains(&said.to_lowercase()), "{typed}: {recognised}");
        assert!(rows(&browser).await.contains(found), "{typed}: {recognised}");
        let asked = browser.run("return new URLSearchParams(location.search).get('q')").await;
        let shown = browser.run("return document.querySelector('#q').value").await;
        assert_eq!(shown, if said == "phone number" { "" } else { typed });
        // A wamid contains the number in Base64, and a long run of digits may be a number: both appear sealed in the
        // URL, and in clear in the box.
        let asked = asked.as_str().unwrap_or("").to_owned();
        if said == "phone number" {
            assert_eq!(asked, "", "{typed}: a number stands in no address");
        } else if !asked.starts_with('~') {
            assert_eq!(asked, typed);
            assert!(said != "WhatsApp", "{typed}");
        }
    }
    browser.fill("#q", "nothing of this name").await;
    browser.press_key(Key::Enter).await;
    browser.until("document.querySelectorAll('.tips dt').length >= 4").await;
    browser.assert_accessible("nothing found").await;
    browser.assert_quiet("the search box", &[]).await;
    browser.close().await;
}

pub async fn keys_work_outside_fields_alone(world: Shared) {
    world.ended(0).await;
    let browser = at_work(&world, "sam", Setup::default()).await;
    // The box has the focus, so shortcuts are inactive.
    browser.until("document.activeElement.id === 'q'").await;
    browser.press("jk?/").await;
    assert_eq!(browser.run("return document.querySelector('#q').value").await, "jk?/");
    assert_eq!(browser.count("[data-row].current, dialog[open]").await, 0);
    browser.press_key(Key::Escape).await;
    browser.until("document.activeElement === document.body").await;
    browser.press("j").await;
    browser.until("document.querySelectorAll('[data-row]')[0].classList.contains('current')").await;
    browser.press("j").await;
    browser.until("document.querySelectorAll('[data-row]')[1].classList.contains('current')").await;
    browser.press("k").await;
    browser.until("document.querySelectorAll('[data-row]')[0].classList.contains('current')").await;
    browser.press("?").await;
    browser.until("document.querySelector('dialog').open").await;
    browser.assert_accessible("the list of keys").await;
    browser.press_key(Key::Escape).await;
    browser.until("!document.querySelector('dialog').open").await;
    browser.press("/").await;
    browser.until("document.activeElement.id === 'q'").await;
    browser.press_key(Key::Escape).await;
    let first = rows(&browser).await.remove(0);
    browser.press_key(Key::Enter).await;
    browser.until(&format!("location.pathname === '/console/verifications/{first}'")).await;
    browser.assert_quiet("keys", &[]).await;
    browser.close().await;
}

pub async fn everything_reads_without_scripts(world: Shared) {
    let id = world.ended(1).await.to_owned();
    let browser = Browser::open(&world.driver, Setup { scripts: Scripts::Refused, ..Setup::default() }).await;
    browser.goto(&format!("{}/console/sign-in", world.admin)).await;
    sign_in(&browser, "sam").await;
    browser.fill("#q", "+1 202-555-0101").await;
    browser.press_key(Key::Enter).await;
    browser.click(&format!("[data-row] a[href$='{id}']")).await;
    assert!(browser.url().await.ends_with(&id));
    assert!(browser.text_at_once(".verdict").await.contains("SMS"));
    browser.click("details.evidence summary").await;
    assert!(!browser.text_at_once("details.evidence pre").await.is_empty());
    assert_eq!(browser.count("button[data-copy-text]:not([hidden])").await, 0, "no button that does nothing");
    browser.click("details.menu summary").await;
    browser.click("form.out button").await;
    assert!(browser.url().await.ends_with("/console/sign-in"));
    browser.close().await;
}
