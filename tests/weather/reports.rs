//! Reports duplicated, in any order, before the response to the send, around the deadline and seven days late: played
//! against a real store on virtual time, directly and over HTTP. The log shows who won, at most one SMS follows, and
//! equal reports lead to equal ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use twotick::clock::{ManualClock, Stopwatch};
use twotick::phone::Phone;
use twotick::store::sled::SledStore;
use twotick::store::{Answer, Errand, Order, Store};
use twotick::vault::{Person, id_bits};
use twotick::verification::event::{FallbackReason, Standing};
use twotick::verification::policy::{Content, OnDoubt, Step};
use twotick::verification::state::{Phase, Progress, Stage};
use twotick::verification::values::*;
use twotick::verification::{Event, Fact, Policy, Request};

use crate::api::{self, Answered, Server};
use crate::checker::{Acked, Answers, Asked, Created, Moment as At, Seen, Shown, violations};
use crate::privilege::alone;
use crate::proof::{count, figure, long_seconds, seed};
use crate::world::Chance;

const DEADLINE: Duration = Duration::from_secs(30);
const TTL: Duration = Duration::from_secs(600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const MILLISECOND: Duration = Duration::from_millis(1);
/// Verifications with the same deadline.
const ROUND: usize = 500;
/// Per round. Fewer than a channel's limit of open requests (400), or the others would never start.
const HELD_BACK: usize = 200;
const TELLING_AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(60);
/// The duration of the short form, directly and over HTTP.
const SHORT_STORE: Duration = Duration::from_secs(9);
const SHORT_HTTP: Duration = Duration::from_secs(6);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Sent,
    Delivered,
    Read,
    Failed,
}

const KINDS: [Kind; 4] = [Kind::Sent, Kind::Delivered, Kind::Read, Kind::Failed];

/// In chronological order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// Before the delayed responses.
    Early,
    /// A millisecond before the deadline.
    JustBefore,
    /// While the clock passes the deadline.
    Race,
    JustAfter,
    SevenDaysLate,
}

const MOMENTS: [Moment; 5] =
    [Moment::Early, Moment::JustBefore, Moment::Race, Moment::JustAfter, Moment::SevenDaysLate];

/// The time of the provider's response to the send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerCame {
    AtOnce,
    AfterReports,
    AfterDeadline,
}

#[derive(Clone, Copy, Debug)]
struct Telling {
    kind: Kind,
    moment: Moment,
    /// Whether the report carries our id; without it, it has to wait for the response to the send.
    named: bool,
}

/// The script of one verification.
#[derive(Clone, Debug)]
struct Script {
    answer: AnswerCame,
    told: Vec<Telling>,
    to: String,
    provider_ref: String,
    id: Option<VerificationId>,
}

impl Script {
    fn draw(number: usize, place: usize, chance: &mut Chance) -> Self {
        let mut told = Vec::new();
        for kind in KINDS {
            for _ in 0..chance.below(3) {
                let moment = MOMENTS[chance.below(MOMENTS.len() as u64) as usize];
                told.push(Telling { kind, moment, named: chance.below(2) == 0 });
            }
        }
        for last in (1..told.len()).rev() {
            told.swap(last, chance.below(last as u64 + 1) as usize);
        }
        told.sort_by_key(|telling| telling.moment);
        let answer = match chance.below(4) {
            _ if place >= HELD_BACK => AnswerCame::AtOnce,
            0..=1 => AnswerCame::AfterReports,
            _ => AnswerCame::AfterDeadline,
        };
        let to = format!("+491522{number:07}");
        Self { answer, told, to, provider_ref: format!("wamid.{number}"), id: None }
    }

    fn at(&self, moment: Moment) -> impl Iterator<Item = Telling> {
        self.told.iter().copied().filter(move |telling| telling.moment == moment)
    }

    fn kinds(&self) -> BTreeSet<Kind> {
        self.told.iter().map(|telling| telling.kind).collect()
    }

    /// The effective order of the reports. A report with only the provider's id waits until that is known, by the
    /// response or by a report with our id. While waiting, duplicates are stored once.
    fn in_force(&self) -> InForce {
        let mut walk = InForce { order: Vec::new(), parked: 0 };
        let (mut known, mut waiting) = (self.answer == AnswerCame::AtOnce, Vec::<Kind>::new());
        for moment in MOMENTS {
            for telling in self.at(moment) {
                if !known && !telling.named {
                    walk.parked += 1;
                    if !waiting.contains(&telling.kind) {
                        waiting.push(telling.kind);
                    }
                    continue;
                }
                walk.order.push((moment, telling.kind));
                known = true;
                walk.order.extend(waiting.drain(..).map(|kind| (moment, kind)));
            }
            let answered = match self.answer {
                AnswerCame::AtOnce => true,
                AnswerCame::AfterReports => moment >= Moment::Early,
                AnswerCame::AfterDeadline => moment >= Moment::JustAfter,
            };
            if answered {
                known = true;
                walk.order.extend(waiting.drain(..).map(|kind| (moment, kind)));
            }
        }
        walk
    }

    /// The required number of SMS, derived from the acknowledged reports. `None` if the race decides.
    fn sms(&self) -> Option<usize> {
        let order = self.in_force().order;
        let mut news = order.iter().filter(|(_, kind)| *kind != Kind::Sent);
        match news.next() {
            Some((Moment::Early | Moment::JustBefore, Kind::Failed)) => Some(1),
            Some((Moment::Early | Moment::JustBefore, _)) => Some(0),
            Some((Moment::Race, _)) => None,
            Some((Moment::JustAfter | Moment::SevenDaysLate, _)) | None => Some(1),
        }
    }

    fn highest(&self) -> Progress {
        let kinds = self.kinds();
        if kinds.contains(&Kind::Read) {
            Progress::Read
        } else if kinds.contains(&Kind::Delivered) {
            Progress::Delivered
        } else if kinds.contains(&Kind::Failed) {
            Progress::Failed
        } else if kinds.contains(&Kind::Sent) {
            Progress::Sent
        } else {
            Progress::Accepted
        }
    }
}

struct InForce {
    order: Vec<(Moment, Kind)>,
    /// The number of waiting reports.
    parked: usize,
}

/// The interface through which the reports arrive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Store,
    Http,
}

#[derive(Default)]
struct Tally {
    races: usize,
    won_by_report: usize,
    won_by_deadline: usize,
    told: usize,
    parked: usize,
    seven_days_late: usize,
    ends: BTreeMap<BTreeSet<Kind>, BTreeSet<String>>,
}

/// The providers: every send is accepted, those of the first messages when their script says so.
struct Carriers {
    held: Arc<Mutex<BTreeMap<VerificationId, Errand>>>,
    /// With the virtual time of arrival.
    seen: Arc<Mutex<Vec<(Errand, Timestamp)>>>,
    scripts: Arc<Mutex<BTreeMap<VerificationId, (AnswerCame, String)>>>,
    playing: tokio::task::JoinHandle<()>,
}

impl Carriers {
    fn play(store: SledStore, clock: Arc<ManualClock>, mut errands: UnboundedReceiver<Errand>) -> Self {
        let held = Arc::<Mutex<BTreeMap<_, _>>>::default();
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let scripts = Arc::<Mutex<BTreeMap<VerificationId, (AnswerCame, String)>>>::default();
        let shared = (Arc::clone(&held), Arc::clone(&seen), Arc::clone(&scripts));
        let playing = tokio::spawn(async move {
            let (held, seen, scripts) = shared;
            while let Some(errand) = errands.recv().await {
                let id = errand.snapshot.verification.id();
                seen.lock().unwrap().push((errand.clone(), clock.now()));
                let first = errand.message == Ordinal::FIRST;
                // The response to the create may not have arrived yet; then the send waits as well.
                let script = loop {
                    let script = scripts.lock().unwrap().get(&id).cloned();
                    if let Some(script) = script {
                        break script;
                    }
                    tokio::task::yield_now().await;
                };
                if first && script.0 != AnswerCame::AtOnce {
                    held.lock().unwrap().insert(id, errand);
                } else {
                    let store = store.clone();
                    tokio::spawn(async move { accept(&store, &errand, &script.1).await });
                }
            }
        });
        Self { held, seen, scripts, playing }
    }

    fn sends(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Carriers {
    fn drop(&mut self) {
        self.playing.abort();
    }
}

async fn accept(store: &SledStore, errand: &Errand, first_ref: &str) {
    let name = if errand.message == Ordinal::FIRST {
        first_ref.to_owned()
    } else {
        format!("sms.{}", errand.snapshot.verification.message_id(errand.message))
    };
    let provider_ref = ProviderRef::parse(&name).unwrap();
    api::answer(store, errand, Outcome::Accepted { provider_ref: Some(provider_ref) }).await;
}

/// All participants on one interface.
struct Play {
    server: Server,
    carriers: Carriers,
    policy: Arc<Policy>,
    door: Door,
    tally: Tally,
    /// The answers of the current round, for the checker.
    answers: Answers,
}

impl Play {
    async fn new(door: Door) -> Self {
        let mut server = api::server().await;
        let errands = std::mem::replace(&mut server.errands, unbounded_channel().1);
        let carriers = Carriers::play(server.store.clone(), Arc::clone(&server.clock), errands);
        let (tally, answers) = (Tally::default(), Answers::default());
        Self { server, carriers, policy: Arc::new(policy()), door, tally, answers }
    }

    async fn round(&mut self, first: usize, chance: &mut Chance) {
        let mut scripts: Vec<_> =
            (0..ROUND).map(|place| Script::draw(first + place, place, chance)).collect();
        self.carriers.seen.lock().unwrap().clear();
        self.answers = Answers::default();
        self.create(&mut scripts).await;
        self.until("every first message goes out", || self.carriers.sends() >= ROUND).await;
        let at_once = |script: &&Script| script.answer == AnswerCame::AtOnce;
        let at_once: Vec<_> = scripts.iter().filter(at_once).cloned().collect();
        let accepted = |_, progress: &[Progress]| progress[0] == Progress::Accepted;
        self.until_each(&at_once, "it is not accepted", accepted).await;

        self.tell(&scripts, Moment::Early).await;
        self.answer(&scripts, AnswerCame::AfterReports).await;
        self.server.clock.advance(DEADLINE - MILLISECOND);
        self.tell(&scripts, Moment::JustBefore).await;
        self.race(&scripts, chance).await;
        self.until_none_waits(&scripts).await;
        self.tell(&scripts, Moment::JustAfter).await;
        self.answer(&scripts, AnswerCame::AfterDeadline).await;

        self.server.clock.advance(TTL - DEADLINE);
        self.until_all_ended(&scripts).await;
        let sends = self.carriers.sends();
        self.server.clock.advance(WEEK);
        self.tell(&scripts, Moment::SevenDaysLate).await;
        self.look_at_all(&scripts).await;
        assert_eq!(self.carriers.sends(), sends, "a report seven days late sent something");
        if self.door == Door::Http {
            self.check(&scripts).await;
        }
        self.tally.parked += scripts.iter().map(|script| script.in_force().parked).sum::<usize>();
        self.tally.races += ROUND;
    }

    async fn create(&mut self, scripts: &mut [Script]) {
        let (server, policy) = (&self.server, &self.policy);
        let registered = &self.carriers.scripts;
        let creating = stream::iter(scripts.iter_mut()).map(|script| async move {
            // Bypasses the profile of that server, to have as many checks as the checker expects.
            let id = create_in_store(server, policy, script).await;
            script.id = Some(id);
            registered.lock().unwrap().insert(id, (script.answer, script.provider_ref.clone()));
            let (to, client_ref) = (script.to.clone(), script.provider_ref.clone());
            Created { id: id.to_string(), client_ref, to, version: 1, at: at(server) }
        });
        let created = creating.buffer_unordered(TELLING_AT_ONCE).collect::<Vec<_>>().await;
        let asked = |created: &Created| Asked { client_ref: created.client_ref.clone(), at: created.at };
        self.answers.asked = created.iter().map(asked).collect();
        self.answers.created = created;
    }

    /// Delivers the reports that the scripts have for this moment, and waits for all acknowledgements.
    async fn tell(&mut self, scripts: &[Script], moment: Moment) {
        let (server, door) = (&self.server, self.door);
        let telling = stream::iter(scripts)
            .map(|script| async move {
                let told: Vec<_> = script.at(moment).collect();
                match door {
                    Door::Store => tell_store(server, script, &told).await,
                    Door::Http => tell_http(server, script, &told).await,
                }
                told.iter().map(|&telling| acked(script, telling, at(server))).collect::<Vec<_>>()
            })
            .buffer_unordered(TELLING_AT_ONCE);
        let acked: Vec<_> = telling.collect::<Vec<_>>().await.into_iter().flatten().collect();
        self.tally.told += acked.len();
        if moment == Moment::SevenDaysLate {
            self.tally.seven_days_late += acked.len();
        }
        self.answers.acked.extend(acked);
    }

    /// Moves the clock from a millisecond before the deadline to one after it, while reports arrive.
    async fn race(&mut self, scripts: &[Script], chance: &mut Chance) {
        let clock = Arc::clone(&self.server.clock);
        let pauses = [chance.below(4), chance.below(4)].map(|pause| Duration::from_micros(pause * 900));
        let moving = tokio::spawn(async move {
            for pause in pauses {
                tokio::time::sleep(pause).await;
                clock.advance(MILLISECOND);
            }
        });
        self.tell(scripts, Moment::Race).await;
        moving.await.unwrap();
    }

    async fn answer(&self, scripts: &[Script], when: AnswerCame) {
        let errands: Vec<_> = {
            let mut held = self.carriers.held.lock().unwrap();
            let due = scripts.iter().filter(|script| script.answer == when);
            due.map(|script| (held.remove(&script.id.unwrap()).unwrap(), &script.provider_ref)).collect()
        };
        let store = &self.server.store;
        let answering = stream::iter(errands);
        answering
            .for_each_concurrent(TELLING_AT_ONCE, |(errand, name)| async move {
                accept(store, &errand, name).await;
            })
            .await;
    }

    async fn until(&self, what: &str, so: impl Fn() -> bool) {
        let waiting = Stopwatch::start();
        while !so() {
            assert!(waiting.elapsed() < PATIENCE, "{what}, but not in {PATIENCE:?}");
            tokio::time::sleep(MILLISECOND).await;
        }
    }

    async fn until_each(&self, scripts: &[Script], what: &str, so: impl Fn(Phase, &[Progress]) -> bool) {
        let waiting = Stopwatch::start();
        for script in scripts {
            loop {
                let snapshot = self.server.store.read(script.id.unwrap()).await.unwrap().unwrap();
                let verification = &snapshot.verification;
                let progress: Vec<_> = verification.messages.iter().map(|message| message.progress).collect();
                if so(verification.phase, &progress) {
                    break;
                }
                assert!(waiting.elapsed() < PATIENCE, "{what}: {verification:?}");
                tokio::time::sleep(MILLISECOND).await;
            }
        }
    }

    /// Waits until the deadline has been processed and each following SMS is accepted.
    async fn until_none_waits(&self, scripts: &[Script]) {
        let settled = |phase, progress: &[Progress]| {
            !matches!(phase, Phase::Pending(Stage::Waiting { fallback_at: Some(_) }))
                && progress.get(1).is_none_or(|sms| *sms == Progress::Accepted)
        };
        self.until_each(scripts, "it still waits after its deadline", settled).await;
    }

    async fn until_all_ended(&self, scripts: &[Script]) {
        let ended = |phase, _: &[Progress]| matches!(phase, Phase::Ended { .. });
        self.until_each(scripts, "it lives past its expiry", ended).await;
    }

    async fn look_at_all(&mut self, scripts: &[Script]) {
        for script in scripts {
            let id = script.id.unwrap();
            let events = self.server.store.timeline(id).await.unwrap();
            let snapshot = self.server.store.read(id).await.unwrap().unwrap();
            let verification = &snapshot.verification;
            let one = &verification.messages[0];
            let end = format!("{:?} {:?} {:?}", one.progress, verification.delivered_by, verification.phase);
            // The expiry time differs between rounds.
            let end = end.split(" at:").next().unwrap_or_default().to_owned();
            self.tally.ends.entry(script.kinds()).or_default().insert(end);
            assert_eq!(one.progress, script.highest(), "{script:?}: {events:?}");
            self.look_at(script, &events);
        }
    }

    fn look_at(&mut self, script: &Script, events: &[Event]) {
        let at = |which: &dyn Fn(&Fact) -> bool| events.iter().position(|event| which(&event.fact));
        let number = |which: &dyn Fn(&Fact) -> bool| events.iter().filter(|event| which(&event.fact)).count();
        let delivered = at(&|fact| tells(fact, &[Kind::Delivered, Kind::Read]));
        let fell_back = at(&|fact| matches!(fact, Fact::FellBack { .. }));
        let ended = at(&|fact| matches!(fact, Fact::Expired)).expect("it expired");
        let sms =
            number(&|fact| matches!(fact, Fact::MessageQueued { message, .. } if *message != Ordinal::FIRST));
        let starts = number(&|fact| matches!(fact, Fact::SendStarted { .. }));
        let tale = || format!("{script:?}: {events:#?}");
        assert!(sms <= 1 && starts == 1 + sms, "double: {sms} SMS, {starts} requests: {}", tale());
        assert_eq!(sms, usize::from(fell_back.is_some()), "{}", tale());
        match (delivered.filter(|&at| at < ended), fell_back) {
            (Some(delivered), Some(fell_back)) => assert!(fell_back < delivered, "needless SMS: {}", tale()),
            (None, None) => panic!("neither delivered nor sent by SMS: {}", tale()),
            (Some(_), None) | (None, Some(_)) => {}
        }
        if let Some(expected) = script.sms() {
            assert_eq!(sms, expected, "{}", tale());
        } else if sms == 0 {
            self.tally.won_by_report += 1;
        } else {
            self.tally.won_by_deadline += 1;
        }
        let last_send = events.iter().rposition(|event| matches!(event.fact, Fact::SendStarted { .. }));
        assert!(last_send < Some(ended), "sent after its end: {}", tale());
        if let Some(Event { at, fact: Fact::FellBack { reason: FallbackReason::Deadline, .. } }) =
            fell_back.map(|at| &events[at])
        {
            assert!(*at >= events[0].at + DEADLINE, "before its deadline: {}", tale());
        }
        let order = script.in_force().order;
        for kind in KINDS {
            let expected = order.iter().filter(|(_, other)| *other == kind).count();
            let there = number(&|fact| is_report(fact, kind));
            assert_eq!(there, expected, "orphans of {kind:?}: {}", tale());
        }
    }

    /// Compares the three journals of this round.
    async fn check(&self, scripts: &[Script]) {
        let mut shown = BTreeMap::new();
        for script in scripts {
            let id = script.id.unwrap().to_string();
            let verification = self.server.read(&id).await;
            let events = self.server.timeline(&id).await;
            shown.insert(id, Shown { verification, events, at: at(&self.server) });
        }
        let errands = self.carriers.seen.lock().unwrap().clone();
        let requests: Vec<_> = errands.iter().map(|(errand, at)| self.seen(errand, *at, scripts)).collect();
        let wrong = violations(&self.answers, &requests, &shown);
        assert!(wrong.is_empty(), "{} violations: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    }

    fn seen(&self, errand: &Errand, at: Timestamp, scripts: &[Script]) -> Seen {
        let verification = &errand.snapshot.verification;
        let script = scripts.iter().find(|script| script.id == Some(verification.id())).unwrap();
        let message = verification.message(errand.message).unwrap();
        let reference = verification.message_id(errand.message).to_string();
        let code = self.server.vault.code(&verification.request, errand.snapshot.policy.code_length).unwrap();
        Seen {
            channel: message.channel.to_string(),
            provider_ref: script.provider_ref.clone(),
            to: script.to.clone(),
            code: code.expose_secret().to_owned(),
            reference,
            at: At(at.as_millis() * 1_000),
        }
    }
}

/// According to the server's clock.
fn at(server: &Server) -> At {
    At(server.clock.now().as_millis() * 1_000)
}

fn acked(script: &Script, telling: Telling, at: At) -> Acked {
    Acked {
        reference: script.id.unwrap().message(Ordinal::FIRST).to_string(),
        status: name(telling.kind).to_owned(),
        named_ours: telling.named,
        at,
    }
}

fn tells(fact: &Fact, kinds: &[Kind]) -> bool {
    let Fact::Reported { message: Ordinal::FIRST, standing: Standing::Applied, .. } = fact else {
        return false;
    };
    kinds.iter().any(|&kind| is_report(fact, kind))
}

fn is_report(fact: &Fact, kind: Kind) -> bool {
    matches!(fact, Fact::Reported { message: Ordinal::FIRST, status, .. } if status.name() == name(kind))
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sent => "sent",
        Kind::Delivered => "delivered",
        Kind::Read => "read",
        Kind::Failed => "failed",
    }
}

async fn create_in_store(server: &Server, policy: &Arc<Policy>, script: &Script) -> VerificationId {
    let phone = Phone::parse(&script.to).unwrap();
    let number = server.vault.number_index(&phone);
    let id = VerificationId::new(server.clock.now(), number.bucket(), id_bits());
    let person = Person { to: phone.as_e164().to_owned(), metadata: BTreeMap::new() };
    let request = Arc::new(Request {
        id,
        app: AppName::new("shop"),
        policy: policy.hash(),
        number,
        tail: None,
        person: server.vault.seal_person(id, &person).unwrap(),
        country: None,
        locale: Some("en".to_owned()),
        client_ref: Some(script.provider_ref.clone()),
        code: server.vault.new_code(id).unwrap(),
    });
    let create = Order::Create { request, policy: Arc::clone(policy), idempotency: None };
    let answers = server.store.execute(vec![create]).await.unwrap();
    assert!(matches!(answers[..], [Answer::Created(_)]), "{answers:?}");
    id
}

async fn tell_store(server: &Server, script: &Script, told: &[Telling]) {
    for telling in told {
        let error = DeliveryError {
            code: "131026".to_owned(),
            title: "Message undeliverable".to_owned(),
            class: ErrorClass::Recipient,
        };
        let status = match telling.kind {
            Kind::Sent => ReportStatus::Sent,
            Kind::Delivered => ReportStatus::Delivered,
            Kind::Read => ReportStatus::Read,
            Kind::Failed => ReportStatus::Failed(error),
        };
        let report = Report {
            status,
            reported_at: None,
            provider_ref: Some(ProviderRef::parse(&script.provider_ref).unwrap()),
            reference: telling.named.then(|| script.id.unwrap().message(Ordinal::FIRST)),
            aliases: Vec::new(),
        };
        let order = Order::Report { channel: ChannelName::new("whatsapp"), report };
        let answers = server.store.execute(vec![order]).await.unwrap();
        assert!(matches!(answers[..], [Answer::Reported(_)]), "{answers:?}");
    }
}

/// In one delivery if their number is even, in separate ones otherwise.
async fn tell_http(server: &Server, script: &Script, told: &[Telling]) {
    let statuses: Vec<_> = told.iter().map(|&telling| status(script, telling)).collect();
    let deliveries: Vec<_> = if statuses.len() % 2 == 0 {
        vec![statuses]
    } else {
        statuses.into_iter().map(|one| vec![one]).collect()
    };
    for statuses in deliveries.into_iter().filter(|statuses| !statuses.is_empty()) {
        let answer = server.webhook("whatsapp", &api::change(json!({ "statuses": statuses }))).await;
        assert_eq!(answer.status(), 200, "{:?}", answer.value().await);
    }
}

fn status(script: &Script, telling: Telling) -> Value {
    let mut status = json!({ "id": script.provider_ref, "status": name(telling.kind),
        "timestamp": "1795011201", "recipient_id": script.to.trim_start_matches('+') });
    if telling.named {
        let reference = script.id.unwrap().message(Ordinal::FIRST).to_string();
        status["biz_opaque_callback_data"] = json!(reference);
    }
    if telling.kind == Kind::Failed {
        status["errors"] = json!([{ "code": 131026, "title": "Message undeliverable" }]);
    }
    status
}

fn policy() -> Policy {
    let step = |channel: &str, deliver_within: Option<Duration>| Step {
        channel: ChannelName::new(channel),
        content: Content::Text { by_locale: BTreeMap::from([("en".to_owned(), "{code}".to_owned())]) },
        deliver_within,
        in_doubt_wait: Duration::from_secs(15),
        on_doubt: OnDoubt::ResendOnce,
    };
    Policy {
        profile: "login".to_owned(),
        brand: "Acme".to_owned(),
        code_length: 6,
        code_ttl: TTL,
        max_checks: 5,
        resend_after_ms: Vec::new(),
        default_locale: "en".to_owned(),
        steps: vec![step("whatsapp", Some(DEADLINE)), step("sms", None)],
    }
}

async fn play(door: Door, most: usize, short: Duration, name: &str) {
    let _alone = alone().await;
    let seed = seed();
    let mut chance = Chance(seed);
    let running = Stopwatch::start();
    let mut play = Play::new(door).await;
    let limit = if most > 0 { Duration::from_secs(long_seconds().unwrap_or(u64::MAX)) } else { short };
    while running.elapsed() < limit && (most == 0 || play.tally.races < most) {
        play.round(play.tally.races, &mut chance).await;
    }
    // Chance decides who wins, and a slow machine has few close races in the short form.
    let undecided = |tally: &Tally| tally.won_by_report == 0 || tally.won_by_deadline == 0;
    while undecided(&play.tally) && running.elapsed() < PATIENCE {
        play.round(play.tally.races, &mut chance).await;
    }
    let Tally { races, won_by_report, won_by_deadline, told, parked, seven_days_late, ends } = &play.tally;
    let most_ends = ends.values().map(BTreeSet::len).max().unwrap_or(0);
    assert_eq!(most_ends, 1, "the same reports ended otherwise: {ends:#?}");
    figure(
        name,
        &[
            ("seed", seed.to_string()),
            ("races", races.to_string()),
            ("reports", told.to_string()),
            ("decided_by_the_race_for_the_report", won_by_report.to_string()),
            ("decided_by_the_race_for_the_deadline", won_by_deadline.to_string()),
            ("before_the_answer", parked.to_string()),
            ("seven_days_late", seven_days_late.to_string()),
            ("sets", ends.len().to_string()),
            ("end_states_per_set", most_ends.to_string()),
            ("orphans", "0".to_owned()),
            ("needless_sms", "0".to_owned()),
            ("double", "0".to_owned()),
            ("seconds", running.elapsed().as_secs().to_string()),
        ],
    );
    assert_eq!(ends.len(), 1 << KINDS.len(), "too few races to meet every set of reports");
    assert!(*won_by_report > 0 && *won_by_deadline > 0, "no race was one");
    assert!(*parked > 0 && *seven_days_late > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wins_a_race_of_reports_the_end_is_the_same_in_the_store() {
    play(Door::Store, count(0), SHORT_STORE, "reports_store").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wins_a_race_of_reports_the_end_is_the_same_over_http() {
    play(Door::Http, count(0) / 20, SHORT_HTTP, "reports_http").await;
}
