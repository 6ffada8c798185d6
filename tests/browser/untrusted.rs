//! Hostile texts in a browser that could execute them: nothing runs, and no page breaks.

use fantoccini::key::Key;

use crate::browser::{Browser, Screen, Setup, Theme};
use crate::hostile;
use crate::office::{Office, PASSWORD, Staff};
use crate::world::Shared;

pub async fn hostile_texts_run_nowhere_and_break_nothing(world: Shared) {
    // A separate office, because the pages of the shared one must not become so full.
    let office = Office::open(twotick::clock::Clock::System, Staff::Everybody).await;
    let ids = office.be_written_to().await;
    let browser = Browser::open(&world.driver, Setup::default()).await;
    browser.goto(&format!("{}/console/sign-in", office.admin)).await;
    browser.fill("input[name=name]", "\"><img src=x onerror=hostile(1)>").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.press_key(Key::Enter).await;
    browser.find("[role=alert]").await;
    browser.assert_quiet("a hostile name", &["401 (Unauthorized)"]).await;
    browser.fill("input[name=name]", "olga").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.press_key(Key::Enter).await;
    browser.find("#q").await;

    let mut pages: Vec<String> =
        ["", "/conversations", "/alerts", "/audit"].map(|page| format!("/console{page}")).into();
    browser.goto(&format!("{}/console/conversations", office.admin)).await;
    let people = browser
        .run("return [...document.querySelectorAll('a[href^=\"/console/conversations/\"]')].map((link) => link.pathname)")
        .await;
    pages.extend(people.as_array().into_iter().flatten().filter_map(|path| path.as_str().map(str::to_owned)));
    pages.extend(ids.iter().map(|id| format!("/console/verifications/{id}")));
    for page in &pages[..pages.len() - ids.len()] {
        browser.goto(&format!("{}{page}", office.admin)).await;
        stays_whole(&browser, page).await;
        browser.assert_quiet(page, &[]).await;
    }
    // The smallest screen.
    browser.show(Theme::Dark, Screen::Phone).await;
    for page in pages {
        browser.goto(&format!("{}{page}", office.admin)).await;
        browser.assert_fits(&page).await;
        browser.assert_quiet(&page, &[]).await;
    }
    browser.show(Theme::Light, Screen::Desk).await;
    // Only texts that could break out of the search box or overflow it; tests/console covers all of them.
    let could_leave = |hostile: &hostile::Hostile| {
        hostile.text.contains(['<', '"', '\u{202e}']) || hostile.text.len() > 400
    };
    for hostile in hostile::texts().into_iter().filter(could_leave) {
        let text = hostile::fitted(&hostile, 500);
        let script =
            format!("location.href = '/console/search?q=' + encodeURIComponent({})", serde_json::json!(text));
        browser.run(&script).await;
        browser.until("location.pathname === '/console/search' && document.readyState === 'complete'").await;
        stays_whole(&browser, hostile.name).await;
        // An unpaired surrogate cannot be submitted, but nothing else may fail.
        browser.assert_quiet(hostile.name, &[]).await;
    }
    browser.close().await;
    office.close().await;
}

/// The frame is usable, everything fits the screen, and all links are internal.
async fn stays_whole(browser: &Browser, context: &str) {
    browser.assert_fits(context).await;
    let whole = browser
        .run(
            "const head = document.querySelector('header.top').getBoundingClientRect();
             const search = document.querySelector('#q').getBoundingClientRect();
             const on_top = document.elementFromPoint(search.x + search.width / 2, search.y + search.height / 2);
             const links = [...document.querySelectorAll('a[href], form[action], [formaction], [src]')]
               .map((one) => one.href?.baseVal ?? one.href ?? one.formAction ?? one.action ?? one.src)
               .filter((place) => !String(place).startsWith(location.origin + '/console') && !String(place).startsWith('#'));
             return { head: head.height < 200, search: on_top?.id === 'q', links,
               titles: document.querySelectorAll('h1').length, mains: document.querySelectorAll('main').length };",
        )
        .await;
    let expected = serde_json::json!({ "head": true, "search": true, "links": [], "titles": 1, "mains": 1 });
    assert_eq!(whole, expected, "{context}: {}", browser.url().await);
}
