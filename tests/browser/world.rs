//! The shared environment: an office in which every scenario of the sandbox was started, and the driver.

use std::ops::Deref;
use std::sync::Arc;

use futures_util::future::join_all;
use twotick::clock::Clock;
use twotick::sandbox::scenario::SCENARIOS;

use crate::driver::Driver;
use crate::office::{Office, Staff, to};

pub struct World {
    pub driver: Driver,
    office: Office,
    /// The verification of each scenario in the order of the sandbox's table; never modified.
    pub scenarios: Vec<String>,
}

pub type Shared = Arc<World>;

impl World {
    pub async fn start() -> Self {
        let office = Office::open(Clock::System, Staff::Everybody).await;
        let scenarios = join_all(SCENARIOS.iter().map(|scenario| office.create(to(scenario.number)))).await;
        Self { driver: Driver::start(), office, scenarios }
    }

    pub async fn stop(self) {
        self.office.close().await;
    }

    /// The verification of the scenario with these last two digits, after its end.
    pub async fn ended(&self, scenario: usize) -> &str {
        let id = &self.scenarios[scenario];
        if scenario == 11
            && self.until(id, |now| now["delivery"]["delivered_by"] == "whatsapp").await["status"]
                == "pending"
        {
            let code = self.code(SCENARIOS[scenario].number);
            let wrong = if code == "000000" { "000001" } else { "000000" };
            for typed in [wrong, wrong, &code] {
                self.check(id, typed).await;
            }
        }
        self.until(id, |now| {
            let channels: Vec<_> = now["messages"].as_array().into_iter().flatten().collect();
            let (state, by) = (&now["delivery"]["state"], &now["delivery"]["delivered_by"]);
            match scenario {
                1..=3 => by == "sms",
                6 => channels.len() == 2 && channels.iter().all(|message| message["state"] == "delivered"),
                9 => state == "undelivered",
                10 => now["status"] == "canceled",
                11 => now["status"] == "approved",
                // On a slow machine the deadline may pass before the third attempt or the report.
                7 | 8 => !by.is_null(),
                _ => by == "whatsapp",
            }
        })
        .await;
        id
    }
}

impl Deref for World {
    type Target = Office;

    fn deref(&self) -> &Office {
        &self.office
    }
}
