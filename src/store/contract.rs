//! The suite that every backend passes: `contract!(Backend)` makes a test of each case.
//!
//! Time is moved by hand and every answer waited for, so nothing here sleeps. An errand is handed out in the turn that
//! wrote its intent, and a read is answered after the turns before it, so looking for an errand after a read needs no
//! patience.

mod bounds;
mod found;
mod matching;
mod people;
mod staff;
mod time;

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
pub use matching::*;
pub use people::*;
pub use staff::*;
pub use time::*;

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

pub const START: i64 = 1_795_000_000_000;

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
