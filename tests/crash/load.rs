//! Clients and providers that continue regardless of the server's state and record its answers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::checker::{
    Acked, Act, Answers, Asked, CheckAnswer, Created, Moment, Read, Seen, Try, Typed, Wish,
};
use crate::world::{Chance, Home, KEY, Providers};

/// The default number of concurrent clients.
const WORKERS: u64 = 8;

pub struct Load {
    answers: Arc<Mutex<Answers>>,
    go_on: Arc<AtomicBool>,
    workers: JoinSet<()>,
}

impl Load {
    /// `numbers` counts the numbers used so far: none is used twice.
    pub fn start(home: &Home, providers: &Providers, seed: u64, numbers: &Arc<AtomicU64>) -> Self {
        Self::of(WORKERS, home, providers, seed, numbers)
    }

    /// Starts `workers` clients, each with one request at a time.
    pub fn of(workers: u64, home: &Home, providers: &Providers, seed: u64, numbers: &Arc<AtomicU64>) -> Self {
        let answers = Arc::new(Mutex::new(Answers::default()));
        let go_on = Arc::new(AtomicBool::new(true));
        let mut at_work = JoinSet::new();
        for worker in 0..workers {
            let worker = Worker {
                home: home.clone(),
                providers: providers.clone(),
                chance: Chance(seed ^ (worker << 32)),
                numbers: Arc::clone(numbers),
                answers: Arc::clone(&answers),
                mine: Vec::new(),
            };
            at_work.spawn(worker.run(Arc::clone(&go_on)));
        }
        Self { answers, go_on, workers: at_work }
    }

    /// The answers so far.
    pub fn answers(&self) -> Answers {
        self.answers.lock().unwrap().clone()
    }

    /// Waits for this many answered creates, however long the machine needs.
    pub async fn until_created(&self, wanted: usize) {
        while self.answers.lock().unwrap().created.len() < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All answers, after every client has stopped.
    pub async fn stop(mut self) -> Answers {
        self.go_on.store(false, Ordering::Relaxed);
        while let Some(ended) = self.workers.join_next().await {
            ended.unwrap();
        }
        self.answers()
    }
}

struct Worker {
    home: Home,
    providers: Providers,
    chance: Chance,
    numbers: Arc<AtomicU64>,
    answers: Arc<Mutex<Answers>>,
    /// Answered verifications, which only this worker touches.
    mine: Vec<Created>,
}

impl Worker {
    async fn run(mut self, go_on: Arc<AtomicBool>) {
        while go_on.load(Ordering::Relaxed) {
            let reached = match self.chance.below(120) {
                0..=23 => self.create(&go_on).await,
                24 => self.report_many().await,
                25..=70 => self.report().await,
                71..=73 => self.act(Wish::Resend).await,
                74 => self.act(Wish::Cancel).await,
                75..=82 => self.read().await,
                _ => self.check().await,
            };
            if !reached {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// Retries under the same key until it is answered.
    async fn create(&mut self, go_on: &AtomicBool) -> bool {
        let n = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (to, client_ref) = (format!("+491522{n:07}"), format!("ref-{n}"));
        let body = json!({ "to": to, "client_ref": client_ref });
        let asked = Asked { client_ref: client_ref.clone(), at: Moment::now() };
        self.answers.lock().unwrap().asked.push(asked);
        loop {
            match self.home.post("/v1/verifications", &body, Some(&client_ref)).await {
                Ok((201, created)) => {
                    let id = created["id"].as_str().unwrap().to_owned();
                    let version = created["version"].as_u64().unwrap();
                    let created = Created { id, client_ref, to, version, at: Moment::now() };
                    self.answers.lock().unwrap().created.push(created.clone());
                    self.mine.push(created);
                    return true;
                }
                Ok((409 | 429 | 503, _)) | Err(_) if go_on.load(Ordering::Relaxed) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok((409 | 429 | 503, _)) | Err(_) => return false,
                Ok((status, answer)) => panic!("a create was answered with {status}: {answer}"),
            }
        }
    }

    fn one_of_mine(&mut self) -> Option<Created> {
        // One of the newest, most of which are pending.
        let newest = self.mine.len().min(12) as u64;
        let back = self.chance.below(newest.max(1)) as usize;
        self.mine.iter().rev().nth(back).cloned()
    }

    async fn report(&mut self) -> bool {
        let Some(of) = self.one_of_mine() else { return true };
        let Some(seen) = self.providers.request_to(&of.to) else { return false };
        let status = ["sent", "sent", "delivered", "read", "failed"][self.chance.below(5) as usize];
        let named_ours = seen.channel == "sms" || self.chance.below(5) > 0;
        let answer = if seen.channel == "sms" {
            let status = if status == "read" { "delivered" } else { status };
            self.home.sms_report(&seen.reference, status).await
        } else {
            let reference = named_ours.then_some(seen.reference.as_str());
            self.home.statuses(&[(&seen.provider_ref, status, reference)]).await
        };
        let status = if seen.channel == "sms" && status == "read" { "delivered" } else { status };
        match answer {
            Ok(answer) if answer.status() == 200 => {
                let (reference, status) = (seen.reference, status.to_owned());
                let at = Moment::now();
                self.answers.lock().unwrap().acked.push(Acked { reference, status, named_ours, at });
                true
            }
            Ok(answer) => {
                assert_eq!(answer.status(), 503, "a signed webhook is taken, or later");
                false
            }
            Err(_) => false,
        }
    }

    /// More reports than fit in a turn, in one delivery: all are stored or the delivery is not acknowledged.
    async fn report_many(&mut self) -> bool {
        let mut newest = self.providers.requests();
        newest.retain(|seen| seen.channel == "whatsapp");
        let newest = newest.split_off(newest.len().saturating_sub(150));
        let statuses: Vec<_> = newest
            .iter()
            .map(|seen| (seen.provider_ref.as_str(), "sent", Some(seen.reference.as_str())))
            .collect();
        let taken = self.home.statuses(&statuses).await.is_ok_and(|answer| answer.status() == 200);
        if taken {
            let at = Moment::now();
            let acked = |seen: Seen| Acked {
                reference: seen.reference,
                status: "sent".to_owned(),
                named_ours: true,
                at,
            };
            self.answers.lock().unwrap().acked.extend(newest.into_iter().map(acked));
        }
        taken
    }

    async fn check(&mut self) -> bool {
        let Some(of) = self.one_of_mine() else { return true };
        let Some(seen) = self.providers.request_to(&of.to) else { return false };
        let typed = if self.chance.below(5) == 0 { Typed::Right } else { Typed::Wrong };
        let code = match typed {
            Typed::Right => seen.code,
            Typed::Wrong if seen.code == "000000" => "000001".to_owned(),
            Typed::Wrong => "000000".to_owned(),
        };
        let path = format!("/v1/verifications/{}/check", of.id);
        // Recorded before the request: a stalled server may have counted it.
        self.tries_of(&of.id, |tries| tries.push(Try { typed, asked_at: Moment::now(), answer: None }));
        let answer = match self.home.post(&path, &json!({ "code": code }), None).await {
            Ok((200, answer)) => Some(CheckAnswer {
                result: answer["result"].as_str().unwrap().to_owned(),
                checks_left: answer["checks_left"].as_u64().unwrap(),
                at: Moment::now(),
            }),
            // Refused, so it did not count.
            Ok((503, _)) => {
                self.tries_of(&of.id, |tries| drop(tries.pop()));
                return false;
            }
            Ok((status, answer)) => panic!("a check was answered with {status}: {answer}"),
            Err(_) => return false,
        };
        self.tries_of(&of.id, |tries| tries.last_mut().unwrap().answer = answer);
        true
    }

    async fn act(&mut self, wish: Wish) -> bool {
        let Some(of) = self.one_of_mine() else { return true };
        let path = match wish {
            Wish::Resend => format!("/v1/verifications/{}/resend", of.id),
            Wish::Cancel => format!("/v1/verifications/{}/cancel", of.id),
        };
        let at = {
            let mut answers = self.answers.lock().unwrap();
            answers.acts.push(Act { id: of.id, wish, asked_at: Moment::now(), done: None });
            answers.acts.len() - 1
        };
        match self.home.post(&path, &json!({}), None).await {
            Ok((200 | 202, answer)) => {
                let version = answer["version"].as_u64().unwrap();
                self.answers.lock().unwrap().acts[at].done = Some((version, Moment::now()));
                true
            }
            // Too early, too often, or already ended.
            Ok((409 | 429, _)) => true,
            Ok((503, _)) | Err(_) => false,
            Ok((status, answer)) => panic!("{path} was answered with {status}: {answer}"),
        }
    }

    /// Like a user with an open page: what was shown must never be revoked.
    async fn read(&mut self) -> bool {
        let Some(of) = self.one_of_mine() else { return true };
        let path = format!("/v1/verifications/{}/timeline", of.id);
        let Ok(answer) = self.home.client.get(self.home.url(&path)).bearer_auth(KEY).send().await else {
            return false;
        };
        let Ok(text) = answer.text().await else { return false };
        let shown: Value = serde_json::from_str(&text).unwrap_or_default();
        // While sled is reopened after a full disk, nothing can be read.
        let Some(events) = shown["events"].as_array() else { return false };
        let read = Read { id: of.id, events: events.clone(), at: Moment::now() };
        self.answers.lock().unwrap().reads.push(read);
        true
    }

    fn tries_of(&self, id: &str, change: impl FnOnce(&mut Vec<Try>)) {
        change(self.answers.lock().unwrap().tries.entry(id.to_owned()).or_default());
    }
}
