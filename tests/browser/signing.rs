//! Signing in and out in a browser.

use fantoccini::key::Key;

use crate::browser::{Browser, Setup, Tongue};
use crate::office::PASSWORD;
use crate::staff::{at_work, sign_in};
use crate::world::Shared;

pub async fn in_and_out_with_the_keyboard_alone(world: Shared) {
    let browser = Browser::open(&world.driver, Setup::default()).await;
    let wanted = format!("{}/console?status=approved", world.admin);
    browser.goto(&wanted).await;
    assert_eq!(browser.text("h1").await, "Sign in");
    // The first field has the focus, and Tab moves to the next.
    browser.until("document.activeElement.name === 'name'").await;
    browser.press("sam").await;
    browser.press_key(Key::Tab).await;
    browser.press("not the right one").await;
    browser.press_key(Key::Enter).await;
    assert!(browser.text("[role=alert]").await.len() > 10);
    browser.until("document.activeElement.name === 'password'").await;
    browser.press(PASSWORD).await;
    browser.press_key(Key::Enter).await;
    browser.find("#q").await;
    assert_eq!(browser.url().await, wanted, "the page that was asked for");
    assert_eq!(browser.text(".who").await, "sam");

    // To the menu, and signing out.
    browser.run("document.querySelector('details.menu summary').focus()").await;
    browser.press_key(Key::Enter).await;
    browser.until("document.querySelector('details.menu').open").await;
    browser.press_key(Key::Escape).await;
    browser.until("!document.querySelector('details.menu').open").await;
    browser.press_key(Key::Enter).await;
    browser.run("document.querySelector('form.out button').focus()").await;
    browser.press_key(Key::Enter).await;
    browser.until("location.pathname === '/console/sign-in'").await;
    browser.back().await;
    browser.until("location.pathname === '/console/sign-in'").await;
    assert_eq!(browser.count(".who").await, 0, "nothing is kept of what was seen");
    browser.assert_quiet("signing in and out", &["401 (Unauthorized)"]).await;
    browser.close().await;
}

pub async fn the_language_is_the_browsers_then_the_users_then_the_choice(world: Shared) {
    let browser = Browser::open(&world.driver, Setup { tongue: Tongue::German, ..Setup::default() }).await;
    browser.goto(&format!("{}/console/sign-in", world.admin)).await;
    assert_eq!(browser.text("h1").await, "Anmelden");
    assert_eq!(browser.run("return document.documentElement.lang").await, "de");
    sign_in(&browser, "sam").await;
    browser.until("document.documentElement.lang === 'de'").await;
    choose(&browser, "language", "en").await;
    browser.until("document.documentElement.lang === 'en'").await;
    browser.assert_quiet("German, then English", &[]).await;
    browser.close().await;

    let browser = at_work(&world, "gerda", Setup::default()).await;
    assert_eq!(
        browser.run("return document.documentElement.lang").await,
        "de",
        "hers, though the browser's is English"
    );
    browser.close().await;
}

pub async fn theme_and_zone_are_chosen_and_stay(world: Shared) {
    let browser = at_work(&world, "walt", Setup::default()).await;
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let light = browser.run(ground).await;
    choose(&browser, "theme", "dark").await;
    browser.until("document.documentElement.dataset.theme === 'dark'").await;
    assert_ne!(browser.run(ground).await, light);
    choose(&browser, "zone", "UTC").await;
    browser.reload().await;
    browser.until("document.documentElement.dataset.theme === 'dark'").await;
    assert_eq!(browser.run("return document.querySelector('select[name=zone]').value").await, "UTC");
    browser.assert_quiet("preferences", &[]).await;
    browser.close().await;
}

async fn choose(browser: &Browser, field: &str, value: &str) {
    browser.run("document.querySelector('details.menu').open = true").await;
    let script = format!("document.querySelector('select[name={field}]').value = '{value}'");
    browser.run(&script).await;
    browser.click(".sheet form[action='/console/preferences'] button").await;
}
