//! Plays one scenario over HTTP, as an app and a user would.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::super::client::{Answer, Api, Unreachable, WAIT_SECONDS};
use super::super::send::id_of;
use super::rows::Rows;
use super::verdict::{Expected, judge};
use crate::app::demo::DELIVER_WITHIN;
use crate::app::sandbox::Sandbox;
use crate::app::sandbox::scenario::Scenario;

/// A scenario takes up to 7 s, several times that on a busy machine. After this time it has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Every scenario is watched past WhatsApp's deadline: an SMS that must not be sent would have been sent by then.
const WATCHED: Duration = DELIVER_WITHIN.saturating_add(Duration::from_secs(1));
/// Interval between looks at a phone, and the time a person takes to type.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const TYPING: Duration = Duration::from_millis(400);

pub(super) struct Player<'a> {
    pub(super) api: &'a Api,
    pub(super) sandbox: &'a Sandbox,
    /// Set if the terminal shows a row per scenario.
    pub(super) rows: Option<Rows>,
}

/// Result of a scenario.
pub(super) struct Scene {
    pub(super) scenario: &'static Scenario,
    pub(super) expected: &'static Expected,
    /// The API's latest answer; null if the verification was never created.
    pub(super) verification: Value,
    pub(super) timeline: Value,
    /// The error that stopped the scenario.
    pub(super) trouble: Option<String>,
}

impl Scene {
    pub(super) fn heading(&self) -> String {
        format!("{} · {}", self.scenario.number, self.scenario.plays)
    }
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error("the API answered {status} {code}")]
    Refused { status: StatusCode, code: String },
}

impl Player<'_> {
    /// Plays the scenario from the request until its expected end, or until it times out.
    pub(super) async fn play(&self, scenario: &'static Scenario, expected: &'static Expected) -> Scene {
        let (verification, timeline) = (Value::Null, Value::Null);
        let mut scene = Scene { scenario, expected, verification, timeline, trouble: None };
        let played = tokio::time::timeout(PATIENCE, self.perform(&mut scene)).await;
        scene.trouble = match played {
            Ok(Ok(())) => None,
            Ok(Err(trouble)) => Some(trouble.to_string()),
            Err(_) => Some(format!("not finished within {} s", PATIENCE.as_secs())),
        };
        if let Some(rows) = &self.rows {
            rows.end(scenario, &scene.verification, &scene.timeline, &judge(&scene, self.sandbox));
        }
        scene
    }

    async fn perform(&self, scene: &mut Scene) -> Result<(), Trouble> {
        let expected = scene.expected;
        let watched = tokio::time::sleep(WATCHED);
        let number = scene.scenario.number;
        let created = self.api.post("/verifications", &json!({ "to": number })).await?;
        scene.verification = taken(&created)?;
        let path = format!("/verifications/{}", id_of(&scene.verification));
        let typing =
            async { if expected.types_codes() { self.type_codes(number, &path).await } else { Ok(()) } };
        tokio::try_join!(self.follow(scene, &path, |verification| expected.is_met(verification)), typing)?;
        tokio::select! {
            followed = self.follow(scene, &path, |_| false) => followed,
            () = watched => Ok(()),
        }
    }

    /// Shows progress until `is_met`.
    async fn follow(
        &self,
        scene: &mut Scene,
        path: &str,
        is_met: impl Fn(&Value) -> bool,
    ) -> Result<(), Trouble> {
        let mut latest = self.api.get(path).await?;
        loop {
            if latest.status != StatusCode::NOT_MODIFIED {
                scene.verification = taken(&latest)?;
                self.update(scene, path).await?;
            }
            if is_met(&scene.verification) {
                return Ok(());
            }
            let known = HeaderValue::from_str(&format!("\"{}\"", scene.verification["version"]));
            let known = known.unwrap_or_else(|_| HeaderValue::from_static("\"0\""));
            latest = self.api.get_changed(path, &known, WAIT_SECONDS).await?;
        }
    }

    /// Reads the timeline and updates the scenario's row.
    async fn update(&self, scene: &mut Scene, path: &str) -> Result<(), Trouble> {
        scene.timeline = taken(&self.api.get(&format!("{path}/timeline")).await?)?;
        if let Some(rows) = &self.rows {
            rows.show(scene.scenario, &scene.verification, &scene.timeline);
        }
        Ok(())
    }

    /// Waits for the code on the phone, enters it wrong twice, then right.
    async fn type_codes(&self, number: &str, path: &str) -> Result<(), Trouble> {
        let code = loop {
            let seen = self.sandbox.handset(number).into_iter().find_map(|entry| entry.code);
            match seen {
                Some(code) => break code,
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        };
        for typed in [mistyped(&code, 1), mistyped(&code, 2), code] {
            tokio::time::sleep(TYPING).await;
            taken(&self.api.post(&format!("{path}/check"), &json!({ "code": typed })).await?)?;
        }
        Ok(())
    }
}

/// Changes the last digit.
fn mistyped(code: &str, by: u32) -> String {
    let mut letters: Vec<char> = code.chars().collect();
    if let Some(last) = letters.last_mut() {
        let digit = last.to_digit(10).unwrap_or_default();
        *last = char::from_digit((digit + by) % 10, 10).unwrap_or('0');
    }
    letters.into_iter().collect()
}

fn taken(answer: &Answer) -> Result<Value, Trouble> {
    let json = answer.json();
    if answer.status.is_success() {
        return Ok(json);
    }
    Err(Trouble::Refused {
        status: answer.status,
        code: json["code"].as_str().unwrap_or_default().to_owned(),
    })
}
