//! The suite that every backend passes: `contract!(Backend)` makes a test of each case.
//!
//! Time is moved by hand and every answer waited for, so nothing here sleeps. An errand is handed out in the turn that
//! wrote its intent, and a read is answered after the turns before it, so looking for an errand after a read needs no
//! patience.

mod bounds;
mod found;
mod people;
mod staff;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;

use super::engine::EngineLimits;
use super::{
    Alert, Answer, Errand, Filter, FirstOccasion, Idempotency, Inbound, Intent, Match, Order, Retention,
    Snapshot, Status, Store, StoreError,
};
use crate::clock::{Clock, ManualClock};
use crate::phone::Phone;
use crate::vault::{Person, Vault, id_bits};
use crate::verification::command::{Jitter, Request};
use crate::verification::event::{Aim, Fact, FallbackReason, Occasion, Standing};
use crate::verification::policy::{Content, OnDoubt, Policy, Step};
use crate::verification::state::{Ending, Progress};
use crate::verification::values::{
    AppName, ChannelName, DeliveryError, ErrorClass, MessageId, NumberIndex, Ordinal, Outcome, ProviderRef,
    Report, ReportStatus, Timestamp, VerificationId,
};
use crate::verification::{Command, Comparison, Event, Rejection};

pub use bounds::*;
pub use found::*;
pub use people::*;
pub use staff::*;

/// A kind of store that can be opened on a folder again and again.
pub trait Backend {
    fn open(
        folder: &Path,
        rates: BTreeMap<ChannelName, u32>,
        clock: Clock,
    ) -> (Arc<dyn Store>, UnboundedReceiver<Errand>);
}

macro_rules! contract {
    ($backend:ty: $($case:ident)*) => {
        $(#[tokio::test]
        async fn $case() {
            crate::store::contract::$case::<$backend>().await;
        })*
    };
    ($backend:ty) => {
        crate::store::contract::contract! { $backend:
            a_second_create_while_one_is_pending_sends_its_code_again
            a_create_after_the_expiry_of_a_pending_one_is_new
            an_idempotency_key_gets_its_first_answer_for_a_day
            a_key_that_is_used_again_after_a_day_outlives_the_sweep_of_its_first_use
            an_app_reaches_only_its_own
            a_report_is_matched_by_the_providers_id_or_by_ours
            a_report_that_comes_first_waits_for_the_send_to_be_recorded
            a_parked_report_outlives_a_restart
            an_inbound_message_finds_what_it_answers_and_is_kept_once
            a_disowned_code_cancels
            lists_are_filtered_and_paged_newest_first
            a_timeline_grows_and_an_old_version_can_be_read
            watchers_hear_of_versions
            an_attempt_under_way_is_in_doubt_once_after_a_restart
            many_interrupted_attempts_are_noted_before_anything_new_starts
            a_deadline_falls_back_and_an_expiry_ends
            deadlines_that_pass_while_closed_fire_once_after_opening
            a_channel_keeps_its_rate_and_a_fallback_does_not_wait_for_it
            a_refused_sender_lets_steps_be_skipped
            old_verifications_go_and_live_ones_stay
            alerts_are_listed_newest_first
            alerts_that_look_alike_are_all_kept
            a_message_without_a_name_learns_it_from_a_report
            a_late_report_reaches_a_verification_that_has_ended
            a_thousand_reports_are_answered_in_their_order
            closing_and_opening_changes_nothing
            wrong_codes_count_across_restarts
            every_filter_finds_all_it_asks_for_and_nothing_else
            what_no_app_or_no_time_admits_is_an_empty_list
            what_the_staff_do_stands_in_timeline_and_audit_log
            each_audit_record_seals_the_one_before_it_across_restarts
            the_audit_log_outlives_every_sweep
            a_reason_too_long_for_a_record_is_refused_and_leaves_nothing
            a_person_is_found_by_every_name
            a_create_for_another_name_sends_the_pending_code_again
            a_name_that_a_provider_gives_to_two_people_makes_them_no_one_person
            a_writer_who_is_named_twice_is_known_by_both_names
            what_quotes_nothing_is_answered_only_where_one_app_alone_can_be_meant
            no_app_crowds_another_one_out
            a_disowned_code_is_canceled_only_where_it_is_certain_which
            the_button_is_of_its_channel_and_of_one_code
            messages_of_one_second_stay_in_the_order_in_which_they_came
            a_message_that_comes_again_is_kept_once_whatever_its_time
            messages_are_kept_from_their_arrival_on
            names_go_with_what_taught_them
            a_person_of_many_records_is_erased_by_any_name
            a_backlog_of_one_app_pushes_no_message_of_another_past_its_deadline
            reports_that_match_nothing_make_room_for_newer_ones
            alerts_are_bounded_and_the_newest_stay
            each_kind_has_its_share_of_a_sweep
        }
    };
}
pub(crate) use contract;

/// With these each backend is opened, so that a few records reach them.
pub const LIMITS: EngineLimits = EngineLimits { alerts: 500, parked: 2_000 };

const START: i64 = 1_795_000_000_000;

pub struct World<B> {
    pub time: Arc<ManualClock>,
    pub vault: Vault,
    pub store: Arc<dyn Store>,
    pub errands: UnboundedReceiver<Errand>,
    rates: BTreeMap<ChannelName, u32>,
    backend: std::marker::PhantomData<B>,
    pub folder: TempDir,
}

/// A store whose folder goes stops the process.
impl<B> Drop for World<B> {
    fn drop(&mut self) {
        let mut closed = self.store.close();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        while closed.as_mut().poll(&mut context).is_pending() {
            std::thread::yield_now();
        }
    }
}

impl<B: Backend> World<B> {
    pub fn new() -> Self {
        Self::with_rates(BTreeMap::new())
    }

    fn with_rates(rates: BTreeMap<ChannelName, u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let time = ManualClock::starting_at(Timestamp::from_millis(START));
        let (store, errands) = B::open(folder.path(), rates.clone(), Clock::Manual(Arc::clone(&time)));
        let vault = Vault::new(&[7; 32]);
        Self { folder, time, vault, store, errands, rates, backend: std::marker::PhantomData }
    }

    pub async fn reopen(&mut self) {
        self.store.close().await.unwrap();
        let clock = Clock::Manual(Arc::clone(&self.time));
        (self.store, self.errands) = B::open(self.folder.path(), self.rates.clone(), clock);
    }

    async fn pass(&self, seconds: u64) {
        self.time.advance(Duration::from_secs(seconds));
        self.settle().await;
    }

    /// Until the store has done what was due.
    async fn settle(&self) {
        self.store.find(whatsapp(), "nobody".to_owned()).await.unwrap();
    }

    fn number(&self, phone: &str) -> NumberIndex {
        self.vault.number_index(&Phone::parse(phone).unwrap())
    }

    pub fn request(&self, phone: &str, policy: &Policy) -> Request {
        let number = self.number(phone);
        let id = VerificationId::new(self.time.now(), number.bucket(), id_bits());
        let person = Person { to: phone.to_owned(), metadata: BTreeMap::new() };
        Request {
            id,
            app: AppName::new("shop"),
            policy: policy.hash(),
            number,
            tail: None,
            person: self.vault.seal_person(id, &person).unwrap(),
            country: Some("US".to_owned()),
            locale: Some("en".to_owned()),
            client_ref: None,
            code: self.vault.new_code(id).unwrap(),
        }
    }

    pub async fn execute(&self, order: Order) -> Answer {
        let mut answers = self.store.execute(vec![order]).await.unwrap();
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    async fn create(&self, request: Request, policy: Policy) -> Answer {
        let (request, policy) = (Arc::new(request), Arc::new(policy));
        self.execute(Order::Create { request, policy, idempotency: None }).await
    }

    /// A new verification of this number.
    pub async fn created(&self, phone: &str) -> VerificationId {
        match self.create(self.request(phone, &policy()), policy()).await {
            Answer::Created(snapshot) => snapshot.verification.id(),
            other => panic!("{other:?}"),
        }
    }

    async fn command(&self, id: VerificationId, command: Command) -> Answer {
        self.execute(Order::Command { id, app: Some(AppName::new("shop")), command }).await
    }

    /// The errand that must have been handed out by now.
    pub async fn errand(&mut self) -> Errand {
        self.settle().await;
        self.errands.try_recv().expect("an attempt was to be carried out")
    }

    async fn no_errand(&mut self) {
        self.settle().await;
        if let Ok(errand) = self.errands.try_recv() {
            panic!("nothing was to be sent, but {:?}", message_of(&errand));
        }
    }

    pub async fn outcome(&self, errand: &Errand, outcome: Outcome) -> Answer {
        let command = Command::SendReported {
            message: errand.message,
            attempt: errand.attempt,
            outcome,
            aliases: Vec::new(),
            jitter: Jitter::thousandths(0),
        };
        self.execute(Order::Command { id: errand.snapshot.verification.id(), app: None, command }).await
    }

    async fn accepted(&self, errand: &Errand, provider_ref: &str) {
        let provider_ref = ProviderRef::parse(provider_ref).unwrap();
        assert!(matches!(
            self.outcome(errand, Outcome::Accepted { provider_ref: Some(provider_ref) }).await,
            Answer::Done { .. }
        ));
    }

    async fn report(&self, channel: ChannelName, report: Report) -> Match {
        match self.execute(Order::Report { channel, report }).await {
            Answer::Reported(matched) => matched,
            other => panic!("{other:?}"),
        }
    }

    async fn snapshot(&self, id: VerificationId) -> Arc<Snapshot> {
        self.store.read(id).await.unwrap().expect("it exists")
    }

    async fn progress(&self, id: VerificationId) -> Vec<Progress> {
        self.snapshot(id).await.verification.messages.iter().map(|message| message.progress).collect()
    }

    pub async fn facts(&self, id: VerificationId) -> Vec<Fact> {
        self.store.timeline(id).await.unwrap().into_iter().map(|event| event.fact).collect()
    }

    async fn listed(&self, filter: Filter, limit: usize) -> Vec<VerificationId> {
        let (mut ids, mut before) = (Vec::new(), None);
        loop {
            let page = self.store.list(filter.clone(), limit, before).await.unwrap();
            assert!(page.items.len() <= limit);
            assert!(page.next.is_none() || page.items.len() == limit, "a page with another after it is full");
            ids.extend(page.items.iter().map(|snapshot| snapshot.verification.id()));
            before = page.next;
            if before.is_none() {
                return ids;
            }
        }
    }
}

fn whatsapp() -> ChannelName {
    ChannelName::new("whatsapp")
}

fn sms() -> ChannelName {
    ChannelName::new("sms")
}

pub fn policy() -> Policy {
    let step = |channel: ChannelName, deliver_within| Step {
        channel,
        content: Content::Text { by_locale: BTreeMap::from([("en".to_owned(), "{code}".to_owned())]) },
        deliver_within,
        in_doubt_wait: Duration::from_secs(15),
        on_doubt: OnDoubt::ResendOnce,
    };
    Policy {
        profile: "login".to_owned(),
        brand: "Acme".to_owned(),
        code_length: 6,
        code_ttl: Duration::from_secs(600),
        max_checks: 3,
        resend_after_ms: vec![20_000, 20_000],
        default_locale: "en".to_owned(),
        steps: vec![step(whatsapp(), Some(Duration::from_secs(30))), step(sms(), None)],
    }
}

fn said(status: ReportStatus, provider_ref: Option<&str>, reference: Option<MessageId>) -> Report {
    let provider_ref = provider_ref.map(|text| ProviderRef::parse(text).unwrap());
    Report { status, reported_at: None, provider_ref, reference, aliases: Vec::new() }
}

fn error(class: ErrorClass) -> DeliveryError {
    DeliveryError { code: "131031".to_owned(), title: "Account locked".to_owned(), class }
}

pub fn message_of(errand: &Errand) -> MessageId {
    errand.snapshot.verification.message_id(errand.message)
}

fn channel_of(errand: &Errand) -> &str {
    errand.snapshot.verification.messages[errand.message.index()].channel.as_str()
}

fn inbound(provider_ref: &str, at: Timestamp) -> Inbound {
    Inbound {
        provider_ref: provider_ref.to_owned(),
        channel: whatsapp(),
        received_at: at,
        at,
        kind: "text".to_owned(),
        arrival: 0,
        number: None,
        tail: None,
        user: None,
        in_reply_to: None,
        intent: Intent::Reply,
        content: Vault::new(&[7; 32]).seal(b"place", b"thanks"),
        verification: None,
        app: None,
    }
}

fn count(facts: &[Fact], wanted: impl Fn(&Fact) -> bool) -> usize {
    facts.iter().filter(|fact| wanted(fact)).count()
}

pub async fn a_second_create_while_one_is_pending_sends_its_code_again<B: Backend>() {
    let mut world = World::<B>::new();
    let first = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    let again = world.create(world.request("+12025550100", &policy()), policy()).await;
    let Answer::Rejected { rejection: Rejection::ResendTooEarly { until }, id } = again else {
        panic!("{again:?}")
    };
    assert_eq!((until.as_millis(), id), (START + 20_000, Some(first)));
    world.no_errand().await;

    world.pass(20).await;
    match world.create(world.request("+12025550100", &policy()), policy()).await {
        Answer::Resent(snapshot) => {
            assert_eq!(snapshot.verification.id(), first);
            assert_eq!(snapshot.verification.resends, 1);
        }
        other => panic!("{other:?}"),
    }
    let errand = world.errand().await;
    assert_eq!((errand.snapshot.verification.id(), errand.message.index()), (first, 1));

    // Another number, another profile and another app are something else.
    assert_ne!(world.created("+12025550101").await, first);
    let other = Policy { profile: "payment".to_owned(), ..policy() };
    let answer = world.create(world.request("+12025550100", &other), other).await;
    assert!(matches!(answer, Answer::Created(_)), "{answer:?}");
    let request = Request { app: AppName::new("bank"), ..world.request("+12025550100", &policy()) };
    let answer = world.create(request, policy()).await;
    assert!(matches!(answer, Answer::Created(_)), "{answer:?}");
}

pub async fn a_create_after_the_expiry_of_a_pending_one_is_new<B: Backend>() {
    let mut world = World::<B>::new();
    let first = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.report(whatsapp(), said(ReportStatus::Delivered, Some("wamid.1"), None)).await;
    world.pass(599).await;
    assert!(matches!(
        world.create(world.request("+12025550100", &policy()), policy()).await,
        Answer::Resent(snapshot) if snapshot.verification.id() == first
    ));
    world.pass(1).await;
    assert_ne!(world.created("+12025550100").await, first);
    assert_eq!(world.snapshot(first).await.verification.status(), Status::Ended(Ending::Expired));
}

fn key(byte: u8, at: Timestamp) -> Idempotency {
    Idempotency { key: [byte; 16], fingerprint: [9; 16], at, answer: None }
}

pub async fn an_idempotency_key_gets_its_first_answer_for_a_day<B: Backend>() {
    let mut world = World::<B>::new();
    let order = |world: &World<B>, phone: &str| Order::Create {
        request: Arc::new(world.request(phone, &policy())),
        policy: Arc::new(policy()),
        idempotency: Some(key(1, world.time.now())),
    };
    // Twice in one turn, too.
    let orders = vec![order(&world, "+12025550100"), order(&world, "+12025550101")];
    let answers = world.store.execute(orders).await.unwrap();
    let [Answer::Created(first), Answer::Replayed(replayed)] = &answers[..] else { panic!("{answers:?}") };
    let answer = replayed.answer.unwrap();
    assert_eq!((answer.id, answer.occasion), (first.verification.id(), FirstOccasion::Created));
    assert_eq!(replayed.fingerprint, [9; 16]);
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;

    world.reopen().await;
    assert!(matches!(world.execute(order(&world, "+12025550101")).await, Answer::Replayed(_)));
    let then = world.store.read_at(answer.id, answer.version).await.unwrap().unwrap();
    assert_eq!(then.verification, first.verification, "the first answer can be given again");
    assert_eq!(world.store.idempotency([1; 16]).await.unwrap().unwrap().answer, Some(answer));

    world.pass(24 * 60 * 60 + 1).await;
    assert_eq!(world.store.idempotency([1; 16]).await.unwrap(), None);
    assert!(matches!(world.execute(order(&world, "+12025550101")).await, Answer::Created(_)));
}

pub async fn a_key_that_is_used_again_after_a_day_outlives_the_sweep_of_its_first_use<B: Backend>() {
    let world = World::<B>::new();
    let order = |world: &World<B>| Order::Create {
        request: Arc::new(world.request("+12025550100", &policy())),
        policy: Arc::new(policy()),
        idempotency: Some(key(1, world.time.now())),
    };
    world.execute(order(&world)).await;
    world.pass(24 * 60 * 60 + 1).await;
    world.execute(order(&world)).await;
    let nothing = Timestamp::from_millis(0);
    world
        .store
        .sweep_old(Retention { verifications: nothing, inbound: nothing, audit: nothing })
        .await
        .unwrap();
    assert!(matches!(world.execute(order(&world)).await, Answer::Replayed(_)));
    assert!(world.store.idempotency([1; 16]).await.unwrap().is_some());
}

pub async fn an_app_reaches_only_its_own<B: Backend>() {
    let world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let foreign = Some(AppName::new("bank"));
    for command in [Command::Cancel, Command::Check(Comparison::Match), Command::Next] {
        let answer = world.execute(Order::Command { id, app: foreign.clone(), command }).await;
        assert!(matches!(answer, Answer::Rejected { rejection: Rejection::Unknown, id: None }), "{answer:?}");
    }
    let own = &world.snapshot(id).await.verification;
    assert_eq!(world.store.version(id, &own.request.app).await.unwrap(), Some(own.version));
    assert_eq!(world.store.version(id, &AppName::new("bank")).await.unwrap(), None);
    let unknown = VerificationId::new(world.time.now(), id.bucket(), 1);
    assert_eq!(world.store.version(unknown, &own.request.app).await.unwrap(), None);
    let answer = world.command(unknown, Command::Cancel).await;
    assert!(matches!(answer, Answer::Rejected { rejection: Rejection::Unknown, id: None }), "{answer:?}");
    assert_eq!(world.store.read(unknown).await.unwrap().map(|_| ()), None);
    assert_eq!(world.store.timeline(unknown).await.unwrap(), []);
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Pending);
    assert!(
        world
            .listed(Filter { apps: foreign.map(|app| [app].into()), ..Filter::default() }, 5)
            .await
            .is_empty()
    );
}

pub async fn a_report_is_matched_by_the_providers_id_or_by_ours<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    let message = message_of(&errand);
    world.accepted(&errand, "wamid.1").await;
    assert_eq!(world.store.find(whatsapp(), "wamid.1".to_owned()).await.unwrap(), Some(message));
    assert_eq!(world.store.find(sms(), "wamid.1".to_owned()).await.unwrap(), None);

    let sent = said(ReportStatus::Sent, Some("wamid.1"), None);
    assert_eq!(world.report(whatsapp(), sent.clone()).await, Match::Applied);
    assert_eq!(world.report(whatsapp(), sent).await, Match::Stale);
    let wrong_channel = said(ReportStatus::Delivered, None, Some(message));
    assert_eq!(world.report(sms(), wrong_channel).await, Match::Unmatched);
    assert_eq!(world.progress(id).await, [Progress::Sent]);
    let by_ours = said(ReportStatus::Delivered, None, Some(message));
    assert_eq!(world.report(whatsapp(), by_ours).await, Match::Applied);
    let foreign = id.message(Ordinal::LAST);
    let of_nothing = said(ReportStatus::Read, None, Some(foreign));
    assert_eq!(world.report(whatsapp(), of_nothing).await, Match::Unmatched);
    let both = said(ReportStatus::Read, Some("wamid.1"), Some(foreign));
    assert_eq!(world.report(whatsapp(), both).await, Match::Applied, "the provider's id is enough");
    assert_eq!(world.progress(id).await, [Progress::Read]);
}

pub async fn a_report_that_comes_first_waits_for_the_send_to_be_recorded<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    for status in [ReportStatus::Delivered, ReportStatus::Sent, ReportStatus::Delivered] {
        assert_eq!(world.report(whatsapp(), said(status, Some("wamid.1"), None)).await, Match::Parked);
    }
    assert_eq!(world.report(sms(), said(ReportStatus::Read, Some("wamid.1"), None)).await, Match::Parked);
    assert_eq!(world.progress(id).await, [Progress::Sending]);
    world.accepted(&errand, "wamid.1").await;
    assert_eq!(world.progress(id).await, [Progress::Delivered]);
    let facts = world.facts(id).await;
    let reports = count(&facts, |fact| matches!(fact, Fact::Reported { .. }));
    assert_eq!(reports, 2, "one that is doubled while it waits is kept once: {facts:?}");
}

pub async fn a_parked_report_outlives_a_restart<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let message = message_of(&world.errand().await);
    assert_eq!(
        world.report(whatsapp(), said(ReportStatus::Read, Some("wamid.1"), None)).await,
        Match::Parked
    );
    world.reopen().await;
    // The answer to the send is lost; a report with both ids says which message that was.
    let sent = said(ReportStatus::Sent, Some("wamid.1"), Some(message));
    assert_eq!(world.report(whatsapp(), sent).await, Match::Applied);
    assert_eq!(world.progress(id).await, [Progress::Read]);
    world.reopen().await;
    assert_eq!(world.progress(id).await, [Progress::Read]);
}

pub async fn an_inbound_message_finds_what_it_answers_and_is_kept_once<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    let now = world.time.now();
    let later = |seconds| now + Duration::from_secs(seconds);
    let by_reference = Inbound { in_reply_to: Some("wamid.1".to_owned()), ..inbound("in.1", later(1)) };
    let by_number = Inbound { number: Some(world.number("+12025550100")), ..inbound("in.2", later(2)) };
    let by_nothing = Inbound { number: Some(world.number("+12025550177")), ..inbound("in.3", later(3)) };
    let orders = [&by_reference, &by_number, &by_nothing, &by_reference];
    let orders = orders.map(|message| Order::Inbound(Arc::new(message.clone()))).to_vec();
    world.store.execute(orders.clone()).await.unwrap();
    world.reopen().await;
    world.store.execute(orders).await.unwrap();

    let facts = world.facts(id).await;
    let replies = |wanted| {
        count(&facts, |fact| matches!(fact, Fact::ReplyReceived { standing, .. } if *standing == wanted))
    };
    assert_eq!(replies(Standing::Applied), 2);
    assert_eq!(replies(Standing::Stale), 4, "a message that comes again is told as stale");
    let first = Some(Ordinal::FIRST);
    let to_first = |fact: &Fact| matches!(fact, Fact::ReplyReceived { message, .. } if *message == first);
    assert_eq!(count(&facts, to_first), 6, "who names no message answers the last one by that channel");
    let page = world.store.inbound(None, None, 2, None).await.unwrap();
    let refs: Vec<_> = page.items.iter().map(|message| message.provider_ref.as_str()).collect();
    assert_eq!(refs, ["in.3", "in.2"]);
    assert_eq!((page.items[0].verification, page.items[1].verification), (None, Some(id)));
    let rest = world.store.inbound(None, None, 2, page.next).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
    let whole = world.store.inbound(None, None, 3, None).await.unwrap();
    assert_eq!((whole.items.len(), whole.next), (3, None), "a page that holds all has none after it");
    let of_number = world.store.inbound(None, by_number.number, 5, None).await.unwrap();
    assert_eq!(of_number.items.len(), 1);
    let foreign = world.store.inbound(Some(AppName::new("bank")), None, 1, None).await.unwrap();
    assert_eq!(foreign.items[0].provider_ref, "in.3", "what answers nobody is for all");
    assert_eq!(foreign.next, None, "and the rest is not theirs");
}

pub async fn a_disowned_code_cancels<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    let message = Inbound {
        in_reply_to: Some("wamid.1".to_owned()),
        intent: Intent::CodeDisowned,
        ..inbound("in.1", world.time.now())
    };
    assert!(matches!(world.execute(Order::Inbound(Arc::new(message))).await, Answer::Kept));
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Canceled));
    assert!(world.facts(id).await.contains(&Fact::CodeDisowned {
        message: Some(Ordinal::FIRST),
        standing: Standing::Applied,
        aim: Aim::This
    }));
    world.pass(60).await;
    world.no_errand().await;
}

pub async fn lists_are_filtered_and_paged_newest_first<B: Backend>() {
    let world = World::<B>::new();
    let mut ids = Vec::new();
    for n in 0..7_usize {
        world.pass(1).await;
        let phone = format!("+1202555010{n}");
        let app = AppName::new(if n % 2 == 0 { "shop" } else { "bank" });
        let client_ref = (n % 3 == 0).then(|| "order-17".to_owned());
        let request = Request { app, client_ref, ..world.request(&phone, &policy()) };
        ids.insert(0, request.id);
        world.create(request, policy()).await;
    }
    let app = |name: &str| Filter { apps: Some([AppName::new(name)].into()), ..Filter::default() };
    let some = |wanted: &[usize]| wanted.iter().map(|&n| ids[6 - n]).collect::<Vec<_>>();
    for limit in [1, 2, 3, 7, 50] {
        assert_eq!(world.listed(Filter::default(), limit).await, ids);
        assert_eq!(world.listed(app("shop"), limit).await, some(&[6, 4, 2, 0]));
        let of_ref = Filter { client_ref: Some("order-17".to_owned()), ..app("shop") };
        assert_eq!(world.listed(of_ref, limit).await, some(&[6, 0]));
        let of_number = Filter { number: Some(world.number("+12025550103")), ..Filter::default() };
        assert_eq!(world.listed(of_number.clone(), limit).await, some(&[3]));
        assert!(
            world
                .listed(Filter { apps: Some([AppName::new("shop")].into()), ..of_number }, limit)
                .await
                .is_empty()
        );
    }
    world.command(ids[0], Command::Cancel).await;
    world.command(ids[4], Command::Cancel).await;
    let canceled = Filter { status: Some(Status::Ended(Ending::Canceled)), ..Filter::default() };
    assert_eq!(world.listed(canceled, 1).await, [ids[0], ids[4]]);
    let pending = Filter { status: Some(Status::Pending), ..app("shop") };
    assert_eq!(world.listed(pending, 1).await, some(&[4, 0]));
}

pub async fn a_timeline_grows_and_an_old_version_can_be_read<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let before = world.store.timeline(id).await.unwrap();
    let versions: Vec<_> = (1..=before.len()).map(|n| u32::try_from(n).unwrap()).collect();
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.command(id, Command::Check(Comparison::Match)).await;
    let after = world.store.timeline(id).await.unwrap();
    assert_eq!(after[..before.len()], before[..]);
    assert_eq!(after.last().map(|event| &event.fact), Some(&Fact::CheckPassed));
    for version in versions {
        let then = world.store.read_at(id, version).await.unwrap().unwrap();
        assert_eq!(then.verification.version, version);
    }
    assert!(world.store.read_at(id, 0).await.unwrap().is_none());
    let now = world.store.read_at(id, u32::MAX).await.unwrap().unwrap();
    assert_eq!(now.verification, world.snapshot(id).await.verification);
}

pub async fn watchers_hear_of_versions<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let mut watcher = world.store.watch(id);
    let before = *watcher.borrow_and_update();
    assert_eq!(before, world.snapshot(id).await.verification.version);
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    assert!(watcher.has_changed().unwrap());
    assert_eq!(*watcher.borrow_and_update(), before + 1);
    world.command(id, Command::Cancel).await;
    assert_eq!(*watcher.borrow_and_update(), before + 2, "the end is heard of, too");
    let ended = &world.snapshot(id).await.verification;
    assert_eq!(world.store.version(id, &ended.request.app).await.unwrap(), Some(before + 2));
    let unknown = VerificationId::new(world.time.now(), id.bucket(), 1);
    assert_eq!(*world.store.watch(unknown).borrow(), 0);
}

pub async fn an_attempt_under_way_is_in_doubt_once_after_a_restart<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let lost = world.errand().await;
    for _ in 0..3 {
        world.reopen().await;
        world.settle().await;
        world.no_errand().await;
    }
    let facts = world.facts(id).await;
    assert_eq!(count(&facts, |fact| matches!(fact, Fact::SendInDoubt { .. })), 1, "{facts:?}");
    assert_eq!(count(&facts, |fact| matches!(fact, Fact::SendStarted { .. })), 1, "{facts:?}");
    // A report settles it, and then nothing is sent again.
    let delivered = said(ReportStatus::Delivered, Some("wamid.1"), Some(message_of(&lost)));
    assert_eq!(world.report(whatsapp(), delivered).await, Match::Applied);
    world.pass(120).await;
    world.no_errand().await;
    assert_eq!(world.progress(id).await, [Progress::Delivered]);
}

pub async fn many_interrupted_attempts_are_noted_before_anything_new_starts<B: Backend>() {
    let mut world = World::<B>::new();
    let mut ids = Vec::new();
    for n in 0..150 {
        ids.push(world.created(&format!("+1202555{n:04}")).await);
    }
    world.store.close().await.unwrap();
    // While nothing runs, all their deadlines pass: each falls back as soon as the store is open again.
    world.time.advance(Duration::from_secs(31));
    world.reopen_closed();
    for _ in 0..10 {
        world.settle().await;
    }
    for id in ids {
        let facts = world.facts(id).await;
        let in_doubt: Vec<_> = facts
            .iter()
            .filter_map(|fact| match fact {
                Fact::SendInDoubt { message, .. } => Some(*message),
                _ => None,
            })
            .collect();
        assert_eq!(in_doubt, [Ordinal::FIRST], "only what was interrupted is in doubt: {facts:?}");
        assert_eq!(count(&facts, |fact| matches!(fact, Fact::SendStarted { .. })), 2, "{facts:?}");
    }
}

impl<B: Backend> World<B> {
    fn reopen_closed(&mut self) {
        let clock = Clock::Manual(Arc::clone(&self.time));
        (self.store, self.errands) = B::open(self.folder.path(), self.rates.clone(), clock);
    }
}

pub async fn a_deadline_falls_back_and_an_expiry_ends<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    assert_eq!((channel_of(&errand), errand.attempt), ("whatsapp", 1));
    world.accepted(&errand, "wamid.1").await;
    world.time.advance(Duration::from_millis(29_999));
    world.settle().await;
    world.no_errand().await;
    world.time.advance(Duration::from_millis(1));
    world.settle().await;
    let errand = world.errand().await;
    assert_eq!(channel_of(&errand), "sms");
    assert!(world.facts(id).await.contains(&Fact::FellBack {
        message: Ordinal::FIRST,
        to_step: 1,
        reason: FallbackReason::Deadline
    }));
    world.accepted(&errand, "sms.1").await;
    assert_eq!(
        world.report(whatsapp(), said(ReportStatus::Delivered, Some("wamid.1"), None)).await,
        Match::Applied
    );
    assert!(world.snapshot(id).await.verification.messages[0].late);
    world.pass(600).await;
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Expired));
    world.no_errand().await;
}

pub async fn deadlines_that_pass_while_closed_fire_once_after_opening<B: Backend>() {
    let mut world = World::<B>::new();
    let falls_back = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.pass(20).await;
    world.store.close().await.unwrap();
    world.time.advance(Duration::from_secs(60));
    world.reopen_closed();
    world.settle().await;
    assert_eq!(channel_of(&world.errand().await), "sms");
    world.no_errand().await;

    let expires = world.created("+12025550101").await;
    world.errand().await;
    world.store.close().await.unwrap();
    world.time.advance(Duration::from_secs(3_600));
    world.reopen_closed();
    world.settle().await;
    world.no_errand().await;
    for id in [falls_back, expires] {
        assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Expired));
    }
}

pub async fn a_channel_keeps_its_rate_and_a_fallback_does_not_wait_for_it<B: Backend>() {
    let mut world = World::<B>::with_rates(BTreeMap::from([(whatsapp(), 1)]));
    for n in 0..50 {
        world.created(&format!("+120255501{n:02}")).await;
    }
    let first = world.errand().await;
    world.accepted(&first, "wamid.0").await;
    world.no_errand().await;
    for second in 1..30 {
        world.pass(1).await;
        let errand = world.errand().await;
        assert_eq!(channel_of(&errand), "whatsapp");
        world.accepted(&errand, &format!("wamid.{second}")).await;
        world.no_errand().await;
    }
    // Whose deadline passes while they still wait, with no slot free, go on to the SMS at once, which has no rate.
    world.time.advance(Duration::from_millis(990));
    world.settle().await;
    assert_eq!(channel_of(&world.errand().await), "whatsapp");
    world.time.advance(Duration::from_millis(10));
    world.settle().await;
    let mut sent = Vec::new();
    while let Ok(errand) = world.errands.try_recv() {
        sent.push(channel_of(&errand).to_owned());
    }
    let by_sms = sent.iter().filter(|channel| *channel == "sms").count();
    assert_eq!(by_sms, 50, "{sent:?}");
    let newer = world.created("+12025550199").await;
    world.pass(1).await;
    let errand = world.errand().await;
    assert_eq!(errand.snapshot.verification.id(), newer, "nobody who has left stands before it");
    assert_eq!(channel_of(&errand), "whatsapp");
}

pub async fn a_refused_sender_lets_steps_be_skipped<B: Backend>() {
    let mut world = World::<B>::new();
    world.created("+12025550100").await;
    let errand = world.errand().await;
    let refused = Outcome::Refused { error: error(ErrorClass::Sender), retry_after: None };
    world.outcome(&errand, refused).await;
    assert_eq!(channel_of(&world.errand().await), "sms");
    let alerts = world.store.alerts(5, None).await.unwrap();
    assert_eq!((alerts.items.len(), alerts.items[0].code.as_str()), (1, "131031"));

    let skipped = world.created("+12025550101").await;
    assert_eq!(channel_of(&world.errand().await), "sms");
    assert!(world.facts(skipped).await.contains(&Fact::StepSkipped { message: Ordinal::FIRST }));
    assert_eq!(world.progress(skipped).await[0], Progress::Dropped);

    world.pass(60).await;
    world.created("+12025550102").await;
    assert_eq!(channel_of(&world.errand().await), "whatsapp", "after a minute one message probes");
    world.created("+12025550103").await;
    assert_eq!(channel_of(&world.errand().await), "sms", "and only one");
}

pub async fn old_verifications_go_and_live_ones_stay<B: Backend>() {
    let mut world = World::<B>::new();
    let request =
        Request { client_ref: Some("order-17".to_owned()), ..world.request("+12025550100", &policy()) };
    let old = request.id;
    world.create(request, policy()).await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.execute(Order::Inbound(Arc::new(inbound("in.1", world.time.now())))).await;
    world.report(whatsapp(), said(ReportStatus::Sent, Some("never.matches"), None)).await;
    world.pass(3_600).await;
    let young = world.created("+12025550100").await;

    let now = world.time.now();
    let before = Retention { verifications: now, inbound: now, audit: now };
    let mut removed = 0;
    for _ in 0..10 {
        let swept = world.store.sweep_old(before).await.unwrap();
        removed += swept.removed;
        if !swept.more {
            break;
        }
    }
    assert_eq!(removed, 1);
    assert!(world.store.read(old).await.unwrap().is_none());
    assert_eq!(world.store.timeline(old).await.unwrap(), []);
    assert_eq!(world.store.find(whatsapp(), "wamid.1".to_owned()).await.unwrap(), None);
    assert!(world.store.inbound(None, None, 5, None).await.unwrap().items.is_empty());
    assert_eq!(world.listed(Filter::default(), 5).await, [young]);
    let of_ref = Filter {
        client_ref: Some("order-17".to_owned()),
        apps: Some([AppName::new("shop")].into()),
        ..Filter::default()
    };
    assert!(world.listed(of_ref, 5).await.is_empty());
    let late = said(ReportStatus::Read, None, Some(old.message(Ordinal::FIRST)));
    assert_eq!(world.report(whatsapp(), late).await, Match::Unmatched);
    world.reopen().await;
    assert_eq!(world.listed(Filter::default(), 5).await, [young]);
}

pub async fn alerts_are_listed_newest_first<B: Backend>() {
    let world = World::<B>::new();
    let alert = |code: &str, seconds| Alert {
        at: Timestamp::from_millis(START) + Duration::from_secs(seconds),
        channel: whatsapp(),
        code: code.to_owned(),
        title: "Template paused".to_owned(),
        subject: None,
        evidence: None,
        fingerprint: None,
    };
    for alert in [alert("a", 1), alert("c", 3), alert("b", 2), alert("a", 1)] {
        assert!(matches!(world.execute(Order::Alert(alert)).await, Answer::Kept));
    }
    let page = world.store.alerts(2, None).await.unwrap();
    assert_eq!(page.items.iter().map(|alert| &*alert.code).collect::<Vec<_>>(), ["c", "b"]);
    let rest = world.store.alerts(2, page.next).await.unwrap();
    assert_eq!(rest.items.iter().map(|alert| &*alert.code).collect::<Vec<_>>(), ["a"]);
    assert_eq!(rest.next, None);
    assert_eq!(world.store.alerts(3, None).await.unwrap().next, None);
}

/// Two of one code and second are two; what a provider says again is one, also where it does not say when.
pub async fn alerts_that_look_alike_are_all_kept<B: Backend>() {
    let mut world = World::<B>::new();
    let alert = |title: &str, fingerprint: Option<&str>, seconds| Alert {
        at: Timestamp::from_millis(START) + Duration::from_secs(seconds),
        channel: whatsapp(),
        code: "account_disabled".to_owned(),
        title: title.to_owned(),
        subject: None,
        evidence: None,
        fingerprint: fingerprint.map(str::to_owned),
    };
    let first = [
        alert("DISABLED_UPDATE", Some("a"), 1),
        alert("ACCOUNT_DELETED", Some("b"), 1),
        alert("ACCOUNT_DELETED", Some("b-1"), 1),
        alert("of ours", None, 1),
        alert("of ours too", None, 1),
    ];
    for alert in &first {
        world.execute(Order::Alert(alert.clone())).await;
    }
    world.execute(Order::Alert(first[0].clone())).await;
    world.execute(Order::Alert(alert("ACCOUNT_DELETED", Some("b"), 9))).await;
    assert_eq!(world.store.alerts(10, None).await.unwrap().items.len(), first.len());

    world.reopen().await;
    world.execute(Order::Alert(first[0].clone())).await;
    assert_eq!(
        world.store.alerts(10, None).await.unwrap().items.len(),
        first.len(),
        "its place is known by its time"
    );
}

/// A carrier that gives no id is known by our reference, and by its id from the first report on that brings one.
pub async fn a_message_without_a_name_learns_it_from_a_report<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.outcome(&errand, Outcome::Accepted { provider_ref: None }).await;
    assert_eq!(world.progress(id).await, [Progress::Accepted]);
    let message = message_of(&errand);
    let unheard = said(ReportStatus::Unknown("WARNING".to_owned()), None, Some(message));
    assert_eq!(world.report(whatsapp(), unheard).await, Match::Stale);
    for word in ["ODD", "ODDER"] {
        let early = said(ReportStatus::Unknown(word.to_owned()), Some("wamid.7"), None);
        assert_eq!(world.report(whatsapp(), early).await, Match::Parked);
    }
    let sent = said(ReportStatus::Sent, Some("wamid.7"), Some(message));
    assert_eq!(world.report(whatsapp(), sent).await, Match::Applied);
    world.reopen().await;
    assert_eq!(
        world.report(whatsapp(), said(ReportStatus::Delivered, Some("wamid.7"), None)).await,
        Match::Applied
    );
    assert_eq!(world.progress(id).await, [Progress::Delivered]);
    let facts = world.facts(id).await;
    let words: Vec<_> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Reported { status: ReportStatus::Unknown(word), standing: Standing::Stale, .. } => {
                Some(word.as_str())
            }
            _ => None,
        })
        .collect();
    assert_eq!(words, ["WARNING", "ODD", "ODDER"], "they waited for its name");
}

pub async fn a_late_report_reaches_a_verification_that_has_ended<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    world.command(id, Command::Check(Comparison::Match)).await;
    world.reopen().await;
    world.pass(7 * 24 * 60 * 60).await;
    for (status, expected) in [
        (ReportStatus::Delivered, Match::Applied),
        (ReportStatus::Sent, Match::Stale),
        (ReportStatus::Read, Match::Applied),
    ] {
        assert_eq!(world.report(whatsapp(), said(status, Some("wamid.1"), None)).await, expected);
    }
    assert_eq!(world.progress(id).await, [Progress::Read]);
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Approved));
    world.no_errand().await;
    world.reopen().await;
    assert_eq!(world.progress(id).await, [Progress::Read]);
    let answer = world.command(id, Command::Check(Comparison::Match)).await;
    assert!(matches!(&answer, Answer::Done { events, .. } if events.is_empty()), "{answer:?}");
}

pub async fn a_thousand_reports_are_answered_in_their_order<B: Backend>() {
    let mut world = World::<B>::new();
    let mut orders = Vec::new();
    for n in 0..250 {
        world.created(&format!("+1202555{n:04}")).await;
        let errand = world.errand().await;
        let name = format!("wamid.{n}");
        world.accepted(&errand, &name).await;
        for status in [ReportStatus::Sent, ReportStatus::Delivered, ReportStatus::Sent, ReportStatus::Read] {
            orders.push(Order::Report { channel: whatsapp(), report: said(status, Some(&name), None) });
        }
    }
    let answers = world.store.execute(orders).await.unwrap();
    assert_eq!(answers.len(), 1_000);
    for (n, answer) in answers.iter().enumerate() {
        let expected = if n % 4 == 2 { Match::Stale } else { Match::Applied };
        assert!(matches!(answer, Answer::Reported(matched) if *matched == expected), "{n}: {answer:?}");
    }
}

/// Everything a reader can see.
async fn everything<B: Backend>(world: &World<B>) -> Vec<(Snapshot, Vec<Event>)> {
    let mut seen = Vec::new();
    for id in world.listed(Filter::default(), 3).await {
        let snapshot = Snapshot::clone(&*world.snapshot(id).await);
        let timeline = world.store.timeline(id).await.unwrap();
        let folded = crate::verification::State::fold(&timeline);
        assert_eq!(
            folded,
            crate::verification::State::Known(Box::new(snapshot.verification.clone())),
            "the fold of the log is the state"
        );
        seen.push((snapshot, timeline));
    }
    seen
}

pub async fn closing_and_opening_changes_nothing<B: Backend>() {
    let mut world = World::<B>::new();
    for n in 0..20 {
        let id = world.created(&format!("+120255501{n:02}")).await;
        let errand = world.errand().await;
        let name = format!("wamid.{n}");
        match n % 5 {
            0 => world.accepted(&errand, &name).await,
            1 => {
                world.accepted(&errand, &name).await;
                world.report(whatsapp(), said(ReportStatus::Delivered, Some(&name), None)).await;
            }
            2 => {
                world.accepted(&errand, &name).await;
                world.command(id, Command::Check(Comparison::Match)).await;
            }
            3 => {
                let error = error(ErrorClass::Recipient);
                world.outcome(&errand, Outcome::Refused { error, retry_after: None }).await;
                let errand = world.errand().await;
                world.accepted(&errand, &format!("sms.{n}")).await;
            }
            _ => {
                let error = error(ErrorClass::InDoubt);
                world.outcome(&errand, Outcome::InDoubt { error }).await;
            }
        }
    }
    let before = everything(&world).await;
    assert_eq!(before.len(), 20);
    let old = Arc::clone(&world.store);
    world.reopen().await;
    let after = everything(&world).await;
    for ((before, timeline), (after, again)) in before.iter().zip(&after) {
        assert_eq!(before.verification, after.verification);
        assert_eq!(before.policy, after.policy);
        assert_eq!(timeline, again);
    }
    assert!(matches!(old.execute(Vec::new()).await, Err(StoreError::Closed)), "what is closed takes no more");
}

pub async fn wrong_codes_count_across_restarts<B: Backend>() {
    let mut world = World::<B>::new();
    let id = world.created("+12025550100").await;
    let errand = world.errand().await;
    world.accepted(&errand, "wamid.1").await;
    for wrong in 1..=3 {
        world.command(id, Command::Check(Comparison::Differ)).await;
        world.reopen().await;
        assert_eq!(world.snapshot(id).await.verification.failed_checks, wrong);
    }
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Exhausted));
    world.command(id, Command::Check(Comparison::Match)).await;
    assert_eq!(world.snapshot(id).await.verification.status(), Status::Ended(Ending::Exhausted));
    let facts = world.facts(id).await;
    assert_eq!(count(&facts, |fact| matches!(fact, Fact::CheckPassed)), 0);
    let doubts = count(&facts, |fact| matches!(fact, Fact::MessageQueued { occasion: Occasion::Doubt, .. }));
    assert_eq!(doubts, 0);
}
