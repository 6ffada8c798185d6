//! SIGKILL at random moments under load, including during opening.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tempfile::TempDir;
use twotick::clock::Stopwatch;

use crate::checker::violations;
use crate::load::Load;
use crate::privilege::alone;
use crate::proof::{self, figure, seed};
use crate::world::{Chance, Home, Providers, Server, Times};

const KILLS: usize = 20;
/// After this many kills the journals are compared, and a new campaign starts.
const KILLS_A_CAMPAIGN: usize = 40;
/// The minimum number of answers of each kind for a meaningful campaign.
const ENOUGH: usize = 50;
const ENOUGH_WITHIN: Duration = Duration::from_secs(60);
const TIMES: Times = Times { deliver_within: "1s", code_ttl: "30s" };

/// A server under load that is killed repeatedly, and the answers that its clients received.
pub struct Campaign {
    home: Home,
    providers: Providers,
    load: Load,
    pub server: Server,
    tally: Tally,
    _folder: TempDir,
}

/// The results of campaigns.
#[derive(Default)]
pub struct Tally {
    pub kills: usize,
    pub created: usize,
    pub checks: usize,
    pub reports: usize,
    pub promises: usize,
    pub requests: usize,
    pub in_doubt: usize,
    starts: Vec<Duration>,
}

impl Campaign {
    pub async fn begin(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let providers = Providers::start().await;
        let home = Home::new(folder.path(), folder.path(), &providers, &TIMES);
        let server = home.start().await;
        let load = Load::start(&home, &providers, seed, &Arc::new(AtomicU64::new(0)));
        Self { home, providers, load, server, tally: Tally::default(), _folder: folder }
    }

    /// Starts a server without waiting.
    pub fn start(&mut self, environment: &[(&str, &str)]) {
        self.server = self.home.spawn(&[], environment);
    }

    /// Waits until it accepts requests.
    pub async fn ready(&mut self) {
        self.home.ready(&mut self.server).await;
    }

    pub fn kill(&mut self) {
        self.server.kill();
        self.tally.kills += 1;
    }

    /// Fails unless it was killed.
    pub fn was_killed(&mut self) {
        self.tally.kills += 1;
    }

    pub async fn start_again(&mut self) {
        let starting = Stopwatch::start();
        self.server = self.home.start().await;
        self.tally.starts.push(starting.elapsed());
    }

    /// Waits for enough answers, as a slow machine needs longer.
    async fn until_it_tells_something(&self) {
        let waiting = Stopwatch::start();
        while waiting.elapsed() < ENOUGH_WITHIN {
            let answers = self.load.answers();
            let checks = answers.tries.values().flatten().filter(|one| one.answer.is_some()).count();
            if answers.created.len() > ENOUGH && answers.acked.len() > ENOUGH && checks > ENOUGH {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Compares the journals.
    pub async fn end(mut self) -> Tally {
        self.until_it_tells_something().await;
        let answers = self.load.stop().await;
        // A final report on every message matches everything that was parked.
        for seen in self.providers.requests() {
            let told = match &*seen.channel {
                "sms" => self.home.sms_report(&seen.reference, "sent").await,
                _ => self.home.statuses(&[(&seen.provider_ref, "sent", Some(&seen.reference))]).await,
            };
            assert_eq!(told.unwrap().status(), 200);
        }
        // In this order: requests sent while the log is read may belong to a part already read.
        let requests = self.providers.requests();
        let shown = self.home.everything().await;
        let wrong = violations(&answers, &requests, &shown);
        assert!(wrong.is_empty(), "{} violations: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
        let events = shown.values().flat_map(|shown| &shown.events);
        self.tally.in_doubt = events.filter(|event| event["type"] == "send_in_doubt").count();
        self.tally.created = answers.created.len();
        self.tally.checks = answers.tries.values().flatten().filter(|one| one.answer.is_some()).count();
        self.tally.reports = answers.acked.len();
        self.tally.promises = answers.promises();
        self.tally.requests = requests.len();
        self.tally
    }
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        let Self { kills, created, checks, reports, promises, requests, in_doubt, starts } = other;
        self.kills += kills;
        self.created += created;
        self.checks += checks;
        self.reports += reports;
        self.promises += promises;
        self.requests += requests;
        self.in_doubt += in_doubt;
        self.starts.extend(starts);
    }

    /// The test has failed before if the journals disagreed.
    pub fn publish(mut self, name: &str, seed: u64) {
        assert!(
            self.created > ENOUGH && self.reports > ENOUGH && self.checks > ENOUGH,
            "there was not enough load to tell anything"
        );
        self.starts.sort_unstable();
        let p99 = self.starts.get((self.starts.len() * 99).div_ceil(100).saturating_sub(1));
        let millis = |duration: Option<&Duration>| {
            duration.map_or("-".to_owned(), |duration| format!("{}", duration.as_millis()))
        };
        figure(
            name,
            &[
                ("seed", seed.to_string()),
                ("kills", self.kills.to_string()),
                ("answered", self.promises.to_string()),
                ("creates", self.created.to_string()),
                ("checks", self.checks.to_string()),
                ("reports", self.reports.to_string()),
                ("requests", self.requests.to_string()),
                ("in_doubt", self.in_doubt.to_string()),
                ("lost", 0.to_string()),
                ("sent_twice", 0.to_string()),
                ("tries_regained", 0.to_string()),
                ("restart_p99_ms", millis(p99)),
                ("restart_max_ms", millis(self.starts.last())),
            ],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_sent_twice_however_often_it_is_killed() {
    let _alone = alone().await;
    let seed = seed();
    let mut chance = Chance(seed);
    let kills = proof::count(KILLS);
    let mut tally = Tally::default();
    while tally.kills < kills {
        let mut campaign = Campaign::begin(chance.below(u64::MAX)).await;
        for kill in 0..KILLS_A_CAMPAIGN.min(kills - tally.kills) {
            tokio::time::sleep(Duration::from_millis(50 + chance.below(700))).await;
            campaign.kill();
            // After every second kill, another one follows while the store opens.
            if kill % 2 == 1 {
                campaign.start(&[]);
                tokio::time::sleep(Duration::from_millis(chance.below(60))).await;
                campaign.kill();
            }
            campaign.start_again().await;
        }
        tally.add(campaign.end().await);
    }
    tally.publish("kills", seed);
}
