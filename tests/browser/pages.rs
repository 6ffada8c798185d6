//! Every page in both themes and languages, on desktop and phone: accessible, within the screen, without console
//! messages.

use crate::browser::{Browser, Screen, Setup, Theme, Tongue};
use crate::staff::at_work;
use crate::world::{Shared, World};

/// Public pages, with the browser's console message about their status.
const OUTSIDE: [&str; 1] = ["/console/sign-in"];

/// Scenarios whose pages differ in layout: delivered by SMS, given up, disowned, approved.
const ENDS: [usize; 4] = [1, 9, 10, 11];

/// The pages of an operator, who sees all of them.
async fn inside(world: &World) -> Vec<String> {
    let mut pages = Vec::new();
    for scenario in ENDS {
        pages.push(format!("/console/verifications/{}", world.ended(scenario).await));
    }
    let fixed = [
        "/console",
        "/console?status=pending&since=nonsense&country=NZ",
        "/console/search",
        "/console/search?q=0101",
        "/console/conversations",
        "/console/alerts",
        "/console/audit",
        "/console/nothing-here",
    ];
    pages.extend(fixed.map(str::to_owned));
    pages
}

pub async fn all_are_accessible_in_english(world: Shared) {
    look_at_all(&world, Tongue::English, "olga").await;
}

pub async fn all_are_accessible_in_german(world: Shared) {
    look_at_all(&world, Tongue::German, "gerda").await;
}

async fn look_at_all(world: &World, tongue: Tongue, name: &str) {
    let setup = Setup { tongue, ..Setup::default() };
    let visitor = Browser::open(&world.driver, setup).await;
    look(&visitor, world, tongue, &OUTSIDE.map(str::to_owned)).await;
    visitor.close().await;
    let browser = at_work(world, name, setup).await;
    look(&browser, world, tongue, &inside(world).await).await;
    browser.close().await;
}

async fn look(browser: &Browser, world: &World, tongue: Tongue, pages: &[String]) {
    for page in pages {
        browser.show(Theme::Light, Screen::Desk).await;
        browser.goto(&format!("{}{page}", world.admin)).await;
        browser.assert_accessible(page).await;
        browser.assert_fits(page).await;
        // Another theme only differs in colours, which do not depend on the language.
        if tongue == Tongue::English {
            browser.show(Theme::Dark, Screen::Desk).await;
            browser.assert_accessible(&format!("{page}, dark")).await;
        }
        browser.show(Theme::Dark, Screen::Phone).await;
        browser.assert_sizes(&format!("{page}, on a phone")).await;
        browser.assert_quiet(page, &["the server responded with a status of 404"]).await;
    }
}
