//! The page of a verification: the verdict, the live timeline, and manual actions.

use fantoccini::key::Key;

use crate::browser::{Browser, Setup, Tongue};
use crate::office::to;
use crate::staff::at_work;
use crate::world::{Shared, World};

async fn show(browser: &Browser, world: &World, id: &str) {
    browser.goto(&format!("{}/console/verifications/{id}", world.admin)).await;
}

/// The sentences of the timeline's rows.
async fn sentences(browser: &Browser) -> Vec<String> {
    let said = browser
        .run("return [...document.querySelectorAll('[data-sentence]')].map((one) => one.textContent)")
        .await;
    said.as_array().expect("a list").iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

pub async fn a_number_leads_to_a_verdict_in_both_languages(world: Shared) {
    let id = world.ended(1).await.to_owned();
    for (name, tongue, typed, words, tell, rows_say) in [
        (
            "sam",
            Tongue::English,
            "+1 202-555-0101",
            ["WhatsApp", "SMS", "within 1."],
            "Tell the customer",
            "The app requested",
        ),
        ("gerda", Tongue::German, "001 202 555 01 01", ["WhatsApp", "SMS", "1,"], "Sagen Sie", "App"),
    ] {
        let browser = at_work(&world, name, Setup { tongue, ..Setup::default() }).await;
        browser.until("document.activeElement.id === 'q'").await;
        browser.press(typed).await;
        browser.press_key(Key::Enter).await;
        browser.click(&format!("[data-row] a[href$='{id}']")).await;
        let verdict = browser.text(".verdict").await;
        for word in words {
            assert!(verdict.contains(word), "{word}: {verdict}");
        }
        assert!(verdict.to_lowercase().contains(&tell.to_lowercase()), "{verdict}");
        assert!(sentences(&browser).await.iter().any(|text| text.contains(rows_say)), "{rows_say}");
        assert!(browser.text("h1").await.contains('•'), "the number is masked");
        browser.assert_quiet("a verdict", &[]).await;
        browser.close().await;
    }
}

pub async fn rows_arrive_live_without_a_jump(world: Shared) {
    let browser = at_work(&world, "olga", Setup::default()).await;
    let id = world.create(to("+12025551501")).await;
    show(&browser, &world, &id).await;
    browser.until("document.querySelector('.live.on')").await;
    let loaded = browser.run("return performance.timeOrigin").await;
    // The marked row is neither replaced nor moved.
    browser
        .run("window.kept = document.querySelector('[data-part=rows] tr'); kept.dataset.kept = 'yes'")
        .await;
    let before = sentences(&browser).await;
    browser.until("[...document.querySelectorAll('[data-part=rows] tr.fresh')].some((row) => row.innerText.includes('sms'))").await;
    world.until(&id, |now| now["delivery"]["delivered_by"] == "sms").await;
    browser.until("document.querySelector('.verdict').innerText.includes('SMS')").await;
    let after = sentences(&browser).await;
    assert_eq!(after[..before.len()], before[..], "rows are added at the end");
    assert_eq!(browser.run("return window.kept.isConnected && kept.dataset.kept").await, "yes");
    assert_eq!(browser.run("return performance.timeOrigin").await, loaded, "nothing was loaded again");
    assert_eq!(
        browser.run("return document.querySelector('[data-part=verdict]').getAttribute('aria-live')").await,
        "polite"
    );

    // Nothing arrives while paused; after resuming, the page catches up.
    browser.click("[data-live-switch]").await;
    browser.until("document.querySelector('.live.off')").await;
    let code = world.code("+12025551501");
    assert_eq!(world.check(&id, &code).await, "approved");
    assert_eq!(sentences(&browser).await, after);
    browser.click("[data-live-switch]").await;
    browser.until(&format!("document.querySelectorAll('[data-sentence]').length > {}", after.len())).await;
    browser.assert_accessible("a page that has grown").await;
    browser.assert_quiet("a live page", &[]).await;
    browser.close().await;
}

pub async fn a_number_is_revealed_for_a_reason_and_on_the_record(world: Shared) {
    let id = world.ended(0).await.to_owned();
    let browser = at_work(&world, "olga", Setup::default()).await;
    show(&browser, &world, &id).await;
    assert!(!browser.words().await.contains("2025550100"));
    // The form is not submitted without a reason.
    browser.click("button[aria-describedby=reveal-does]").await;
    assert_eq!(
        browser.run("return document.querySelector('input[name=reason]').checkValidity()").await,
        false
    );
    browser.fill("input[name=reason]", "caller <b>named</b> the last digits").await;
    browser.click("button[aria-describedby=reveal-does]").await;
    browser.until("document.querySelector('.revealed')").await;
    let shown: String = browser.words().await.chars().filter(|letter| letter.is_ascii_digit()).collect();
    assert!(shown.contains("12025550100"), "the number in full");
    browser.until("document.querySelector('[data-countdown]').textContent.match(/\\d+ s/)").await;
    browser.assert_accessible("a number in full").await;
    // The number is hidden after a minute, simulated by the page's clock.
    browser.run("const now = Date.now; Date.now = () => now() + 61_000").await;
    browser.until("!document.querySelector('.revealed')").await;
    let told = browser.words().await;
    assert!(!told.contains("2025550100") && told.contains("caller <b>named</b> the last digits"), "{told}");
    assert!(told.contains("olga"), "who it was: {told}");
    browser.back().await;
    browser.until("document.readyState === 'complete'").await;
    let kept: String = browser.words().await.chars().filter(|letter| letter.is_ascii_digit()).collect();
    assert!(!kept.contains("12025550100"), "going back shows it no more");

    browser.goto(&format!("{}/console/audit", world.admin)).await;
    let audit = browser.words().await;
    assert!(audit.contains("caller <b>named</b> the last digits") && audit.contains("olga"), "{audit}");
    browser.assert_quiet("a revealed number", &[]).await;
    browser.close().await;
}

pub async fn a_code_is_sent_again_and_canceled_by_staff(world: Shared) {
    let id = world.create(to("+12025551502")).await;
    world.until(&id, |now| now["delivery"]["delivered_by"] == "sms").await;
    let browser = at_work(&world, "sam", Setup::default()).await;
    show(&browser, &world, &id).await;
    browser.fill("input[name=reason]", "asks for it once more").await;
    browser.run("document.querySelector('select[name=channel]').value = 'sms'").await;
    browser.click("button[aria-describedby=resend-does]").await;
    browser.until("document.querySelector('main > .detail [role=status].note')").await;
    world.until(&id, |now| now["messages"].as_array().is_some_and(|all| all.len() == 3)).await;
    browser.until("document.body.innerText.includes('asks for it once more')").await;
    assert!(browser.url().await.ends_with(&id), "the note of what was done is said once");

    browser.fill("input[name=reason]", "was a mistake").await;
    browser.click("button.danger").await;
    world.until(&id, |now| now["status"] == "canceled").await;
    browser.until("document.body.innerText.includes('was a mistake')").await;
    assert_eq!(browser.count("button.danger").await, 0, "what has ended is not canceled again");
    browser.assert_accessible("after two acts").await;
    browser.assert_quiet("resend and cancel", &[]).await;
    browser.close().await;
}

pub async fn ids_and_the_link_are_copied(world: Shared) {
    let id = world.ended(0).await.to_owned();
    let browser = at_work(&world, "sam", Setup::default()).await;
    show(&browser, &world, &id).await;
    browser.allow_clipboard().await;
    for (button, text) in [
        (format!("[data-copy-text='{id}']"), id.clone()),
        ("[data-copy-text=page]".to_owned(), browser.url().await),
    ] {
        browser.click(&button).await;
        browser
            .until(&format!("document.querySelector({button:?}).innerText.trim().startsWith('Copied')"))
            .await;
        assert_eq!(browser.clipboard().await, text);
    }
    browser.assert_quiet("copying", &[]).await;
    browser.close().await;
}
