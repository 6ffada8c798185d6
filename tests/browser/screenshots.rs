//! The screenshots of the README, taken by `tests/screenshots`.

use std::path::Path;

use serde_json::json;

use crate::browser::{Browser, Screen, Setup, Theme};
use crate::office::to;
use crate::staff::at_work;
use crate::world::World;

/// The number of "delivered after the deadline", which anyone can try.
const NUMBER: &str = "+12025550106";

/// Writes the screenshots to an existing folder.
pub async fn take(world: &World, folder: &Path) {
    let id = world.ended(6).await.to_owned();
    let code = world.code(NUMBER);
    world.check(&id, &code).await;
    // Other verifications in the list.
    for (number, reference) in
        [("+4915228817301", "order-4711"), ("+436641234500", "login"), ("+4915228817309", "order-4712")]
    {
        let mut body = to(number);
        body["client_ref"] = reference.into();
        let id = world.create(body).await;
        world
            .until(&id, |now| {
                ["delivered", "read", "undelivered"].iter().any(|end| now["delivery"]["state"] == *end)
            })
            .await;
    }
    let browser = at_work(world, "sam", Setup::default()).await;
    browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    for (theme, name) in [(Theme::Light, "light"), (Theme::Dark, "dark")] {
        browser.show(theme, Screen::Desk).await;
        let tall = json!({ "width": 1280, "height": 1480, "deviceScaleFactor": 1, "mobile": false });
        browser.devtools("Emulation.setDeviceMetricsOverride", tall).await;
        browser.goto(&format!("{}/console/verifications/{id}", world.admin)).await;
        browser.find(".verdict").await;
        write(&browser, folder, &format!("timeline-{name}")).await;
        browser.show(theme, Screen::Desk).await;
        browser.goto(&format!("{}/console", world.admin)).await;
        browser.find("[data-row]").await;
        write(&browser, folder, &format!("list-{name}")).await;
    }
    browser.show(Theme::Light, Screen::Desk).await;
    browser.goto(&format!("{}/#{NUMBER}", world.sandbox.url())).await;
    browser.find("#whatsapp .copy").await;
    write(&browser, folder, "handset").await;
    browser.close().await;
}

async fn write(browser: &Browser, folder: &Path, name: &str) {
    let path = folder.join(format!("{name}.png"));
    std::fs::write(&path, browser.picture().await)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    println!("{}", path.display());
}
