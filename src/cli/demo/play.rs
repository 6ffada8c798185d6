//! Plays one scenario as an app and a user would, over HTTP.

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

/// A scenario that has not come to its end by then has gone wrong. The longest takes about 7 s; a machine under
/// load may take several times that.
const PATIENCE: Duration = Duration::from_secs(30);
/// Every scenario is watched for so long, past the deadline for WhatsApp: an SMS that should not be sent would
/// have been sent by then.
const WATCHED: Duration = DELIVER_WITHIN.saturating_add(Duration::from_secs(1));
/// Between two looks at a phone, and what a person takes to type.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const TYPING: Duration = Duration::from_millis(400);

pub(super) struct Player<'a> {
    pub(super) api: &'a Api,
    pub(super) sandbox: &'a Sandbox,
    /// Where each scenario has a row that shows how it stands.
    pub(super) rows: Option<Rows>,
}

/// What became of a scenario.
pub(super) struct Scene {
    pub(super) scenario: &'static Scenario,
    pub(super) expected: &'static Expected,
    /// As the API last showed it; null if it was never created.
    pub(super) verification: Value,
    pub(super) timeline: Value,
    /// What kept it from being played to its end.
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
    /// From the request for a code until the scenario has ended as it should, or patience has.
    pub(super) async fn play(&self, scenario: &'static Scenario, expected: &'static Expected) -> Scene {
        let (verification, timeline) = (Value::Null, Value::Null);
        let mut scene = Scene { scenario, expected, verification, timeline, trouble: None };
        let played = tokio::time::timeout(PATIENCE, self.perform(&mut scene)).await;
        scene.trouble = match played {
            Ok(Ok(())) => None,
            Ok(Err(trouble)) => Some(trouble.to_string()),
            Err(_) => Some(format!("it did not end within {} s", PATIENCE.as_secs())),
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

    /// Shows what happens until the verification is as it should be.
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
                self.tell(scene, path).await?;
            }
            if is_met(&scene.verification) {
                return Ok(());
            }
            let known = HeaderValue::from_str(&format!("\"{}\"", scene.verification["version"]));
            let known = known.unwrap_or_else(|_| HeaderValue::from_static("\"0\""));
            latest = self.api.get_changed(path, &known, WAIT_SECONDS).await?;
        }
    }

    /// Reads the timeline and shows how it stands.
    async fn tell(&self, scene: &mut Scene, path: &str) -> Result<(), Trouble> {
        scene.timeline = taken(&self.api.get(&format!("{path}/timeline")).await?)?;
        if let Some(rows) = &self.rows {
            rows.show(scene.scenario, &scene.verification, &scene.timeline);
        }
        Ok(())
    }

    /// Looks at the phone until the code is there, mistypes it twice, then types what is there.
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

/// Another last digit.
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
