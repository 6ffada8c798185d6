//! Staff members using a browser.

use crate::browser::{Browser, Setup};
use crate::office::PASSWORD;
use crate::world::World;

/// A browser with this user signed in, showing the list.
pub async fn at_work(world: &World, name: &str, setup: Setup) -> Browser {
    let browser = Browser::open(&world.driver, setup).await;
    browser.goto(&format!("{}/console/sign-in", world.admin)).await;
    sign_in(&browser, name).await;
    browser.until("location.pathname === '/console'").await;
    browser
}

/// Fills in and submits the open form.
pub async fn sign_in(browser: &Browser, name: &str) {
    browser.fill("input[name=name]", name).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("main button").await;
}
