//! Somebody of the staff at a browser.

use crate::browser::{Browser, Setup};
use crate::office::PASSWORD;
use crate::world::World;

/// A browser in which this user is signed in and sees the list.
pub async fn at_work(world: &World, name: &str, setup: Setup) -> Browser {
    let browser = Browser::open(&world.driver, setup).await;
    browser.goto(&format!("{}/console/sign-in", world.admin)).await;
    sign_in(&browser, name).await;
    browser.until("location.pathname === '/console'").await;
    browser
}

/// Fills the form that is open and sends it.
pub async fn sign_in(browser: &Browser, name: &str) {
    browser.fill("input[name=name]", name).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("main button").await;
}
