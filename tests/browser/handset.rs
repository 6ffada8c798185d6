//! The sandbox's page of handsets.

use crate::browser::{Browser, Screen, Setup, Theme};
use crate::office::{to, unheard};
use crate::world::Shared;

/// A number used by no other case, for "delivered after the deadline": its code arrives on both channels.
const NUMBER: &str = "+12025551306";

pub async fn a_code_arrives_live_and_can_be_copied(world: Shared) {
    let browser = Browser::open(&world.driver, Setup::default()).await;
    browser.goto(&format!("{}/#{NUMBER}", world.sandbox.url())).await;
    browser.allow_clipboard().await;
    browser.until("document.querySelector('#live').dataset.state === 'live'").await;
    let before = browser.run("return performance.timeOrigin").await;

    world.create(to(NUMBER)).await;
    browser.until("document.querySelector('#number').textContent === '+1 202 555 1306'").await;
    for arrived in ["#sms .fill", "#whatsapp .copy"] {
        // One after the other on the open page.
        browser.find(arrived).await;
    }
    for end in ["The carrier reported delivered", "WhatsApp reported delivered"] {
        browser.until(&format!("document.querySelector('#activity').innerText.includes('{end}')")).await;
    }
    let code = world.sandbox.handset(NUMBER)[0].code.clone().expect("a code");
    assert!(browser.text("#sms .bubble").await.contains(&code));
    copies(&browser, "#sms .fill", &code).await;
    assert!(browser.text("#whatsapp .bubble").await.contains(&code));
    copies(&browser, "#whatsapp .copy", &code).await;
    assert_eq!(browser.text("#say").await, format!("New WhatsApp message for {NUMBER}"));
    assert_eq!(browser.run("return performance.timeOrigin").await, before, "nothing was loaded again");
    browser.assert_quiet("the phones", &[]).await;
    browser.close().await;
}

async fn copies(browser: &Browser, button: &str, code: &str) {
    browser.run("return navigator.clipboard.writeText('')").await;
    browser.click(button).await;
    browser.until(&format!("document.querySelector('{button}').textContent === 'Copied'")).await;
    assert_eq!(browser.clipboard().await, code);
}

pub async fn the_phones_are_accessible_with_and_without_messages(world: Shared) {
    let browser = Browser::open(&world.driver, Setup::default()).await;
    // A different sandbox without messages.
    let empty = twotick::sandbox::start(unheard()).await.expect("a sandbox");
    let id = world.create(to("+12025551310")).await;
    world.until(&id, |now| now["status"] == "canceled").await;
    for (page, there) in [
        (empty.url(), "document.querySelectorAll('#scenarios button').length === 12"),
        (format!("{}/#+12025551310", world.sandbox.url()), "document.querySelector('#whatsapp .mine')"),
    ] {
        browser.show(Theme::Light, Screen::Desk).await;
        browser.goto("about:blank").await;
        browser.goto(&page).await;
        browser.until(there).await;
        browser.assert_accessible("the phones").await;
        browser.assert_fits("the phones").await;
        browser.show(Theme::Dark, Screen::Desk).await;
        browser.assert_accessible("the phones, dark").await;
        browser.show(Theme::Dark, Screen::Phone).await;
        browser.assert_sizes("the phones on a phone").await;
        browser.show(Theme::Light, Screen::Phone).await;
        browser.assert_accessible("the phones on a phone").await;
        browser.assert_quiet("the phones", &[]).await;
    }
    browser.close().await;
    empty.stop().await;
}
