//! A vocabulary for the events of one verification, so that a case reads like a sentence:
//! `requested().at(30_000).when(tick()).then([fell_back(1, 1, Deadline), queued(2, SMS)])`. Times are milliseconds
//! since the request, messages count from 1, steps from 0.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use twotick::verification::command::CodeSource;
use twotick::verification::event::{Aim, FallbackReason, Occasion, Standing};
use twotick::verification::policy::{Content, OnDoubt, Step};
use twotick::verification::state::{Ending, Message, Phase};
use twotick::verification::values::{
    AppName, Bucket, ChannelName, DeliveryError, ErrorClass, NumberIndex, Ordinal, Outcome, ProviderRef,
    Report, ReportStatus, Runner, Sealed, Timestamp, UserName, VerificationId,
};
use twotick::verification::{
    Command, Comparison, Event, Fact, Jitter, OperatorAct, OperatorAction, Policy, Readiness, Rejection,
    Request, State, Verification, decide, due, evolve,
};

/// The process that carries out the attempts of a story.
pub const RUNNER: Runner = Runner(7);
pub const WHATSAPP: &str = "whatsapp";
pub const SMS: &str = "sms";
pub const DEADLINE: i64 = 30_000;
pub const EXPIRY: i64 = 600_000;
pub const DOUBT_WAIT: i64 = 15_000;
pub const MAX_CHECKS: u8 = 3;
pub const RESEND_AFTER: [i64; 2] = [30_000, 60_000];
/// Time of every story's request.
const BEGIN: i64 = 1_795_000_000_000;

/// WhatsApp for 30 s, then SMS, which is resent once in doubt.
pub fn policy() -> Policy {
    policy_of(&[(WHATSAPP, Some(DEADLINE)), (SMS, None)], OnDoubt::ResendOnce)
}

pub fn policy_of(steps: &[(&str, Option<i64>)], on_doubt: OnDoubt) -> Policy {
    Policy {
        profile: "login".to_owned(),
        brand: "Acme".to_owned(),
        code_length: 6,
        code_ttl: millis(EXPIRY),
        max_checks: MAX_CHECKS,
        resend_after_ms: RESEND_AFTER.iter().map(|&wait| wait.unsigned_abs()).collect(),
        default_locale: "en".to_owned(),
        steps: steps
            .iter()
            .map(|&(channel, within)| Step {
                channel: ChannelName::new(channel),
                content: Content::Text {
                    by_locale: BTreeMap::from([("en".to_owned(), "{code} is your {brand} code.".to_owned())]),
                },
                deliver_within: within.map(millis),
                in_doubt_wait: millis(DOUBT_WAIT),
                on_doubt,
            })
            .collect(),
    }
}

fn millis(length: i64) -> Duration {
    Duration::from_millis(length.unsigned_abs())
}

pub fn request(policy: &Policy) -> Arc<Request> {
    Arc::new(Request {
        id: VerificationId::new(Timestamp::from_millis(BEGIN), Bucket::new(0xabc), 7),
        app: AppName::new("shop"),
        policy: policy.hash(),
        number: NumberIndex([0xab; 16]),
        tail: None,
        person: Sealed(Box::from(*b"sealed person")),
        country: Some("DE".to_owned()),
        locale: Some("de".to_owned()),
        client_ref: Some("order-17".to_owned()),
        code: CodeSource::Derived { salt: Sealed(Box::from(*b"salt")) },
    })
}

/// Milliseconds since the request, as a timestamp.
pub fn time(since_request: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN + since_request)
}

/// The inverse of [`time`].
pub fn since_request(at: Timestamp) -> i64 {
    at.as_millis() - BEGIN
}

pub fn ordinal(message: usize) -> Ordinal {
    Ordinal::nth(message).expect("tests name messages 1 to 63")
}

/// The events so far, their fold, and the current time.
#[derive(Clone)]
pub struct Story {
    pub policy: Policy,
    pub events: Vec<Event>,
    pub state: State,
    pub now: i64,
}

/// A request under [`policy`], at 0.
pub fn requested() -> Story {
    requested_under(policy())
}

pub fn requested_under(policy: Policy) -> Story {
    let request = Command::Request(request(&policy));
    Story { policy, events: Vec::new(), state: State::New, now: 0 }.given(request)
}

impl Story {
    /// Moves the clock to `since_request`.
    pub fn at(mut self, since_request: i64) -> Self {
        self.now = since_request;
        self
    }

    pub fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        decide(&self.state, &self.policy, command, time(self.now))
    }

    pub fn commit(&mut self, events: Vec<Event>) {
        self.state = events.iter().fold(std::mem::take(&mut self.state), evolve);
        self.events.extend(events);
    }

    /// Applies `command`; its events are not checked.
    pub fn given(mut self, command: Command) -> Self {
        let events = self.decide(&command).unwrap_or_else(|no| panic!("{command:?} was refused: {no}"));
        self.commit(events);
        self
    }

    /// The queued message is sent.
    pub fn started(self) -> Self {
        let before = self.events.len();
        let story = self.given(tick());
        assert!(matches!(story.events[before..], [Event { fact: Fact::SendStarted { .. }, .. }]));
        story
    }

    /// The queued message is sent and the provider accepts it.
    pub fn accepted(self) -> Self {
        let story = self.started();
        let message = story.verification().messages.len();
        let attempt = story.message(message).attempts;
        story.given(answered(message, attempt, taken(message)))
    }

    pub fn when(self, command: Command) -> Then {
        let answer = self.decide(&command);
        Then { story: self, command, answer }
    }

    pub fn verification(&self) -> &Verification {
        match &self.state {
            State::Known(verification) => verification,
            State::New => panic!("nothing was requested"),
        }
    }

    pub fn message(&self, message: usize) -> &Message {
        self.verification().message(ordinal(message)).expect("the story has such a message")
    }

    pub fn ending(&self) -> Option<Ending> {
        match self.verification().phase {
            Phase::Ended { ending, .. } => Some(ending),
            Phase::Pending(_) => None,
        }
    }

    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.events.iter().map(|event| &event.fact)
    }

    pub fn count(&self, which: impl Fn(&Fact) -> bool) -> usize {
        self.facts().filter(|fact| which(fact)).count()
    }

    /// Ticks at the current time until nothing is due, as the store does.
    pub fn ticked(mut self, readiness: Readiness) -> Self {
        while let Some((at, why)) = due(&self.state) {
            if at > time(self.now) {
                break;
            }
            let events =
                self.decide(&Command::Tick { readiness, runner: RUNNER }).expect("a tick is never refused");
            assert!(!events.is_empty(), "{why:?} is due and a tick does nothing about it");
            self.commit(events);
        }
        self
    }
}

/// The result of a command, to be checked.
pub struct Then {
    story: Story,
    command: Command,
    answer: Result<Vec<Event>, Rejection>,
}

impl Then {
    /// Exactly these facts follow, all at the current time.
    #[track_caller]
    pub fn then<const N: usize>(mut self, expected: [Fact; N]) -> Story {
        let events = self.answer.unwrap_or_else(|no| panic!("{:?} was refused: {no}", self.command));
        let facts: Vec<_> = events.iter().map(|event| event.fact.clone()).collect();
        assert_eq!(facts, expected, "after {:?}", self.command);
        assert!(events.iter().all(|event| event.at == time(self.story.now)));
        self.story.commit(events);
        self.story
    }

    /// No events: already so.
    #[track_caller]
    pub fn then_nothing(self) -> Story {
        self.then([])
    }

    #[track_caller]
    pub fn then_refused(self, expected: Rejection) -> Story {
        assert_eq!(self.answer, Err(expected), "after {:?}", self.command);
        self.story
    }
}

/// The event after a round trip through its stored form.
pub fn reread(event: &Event) -> Event {
    let kept = serde_json::to_vec(&event.fact).expect("a fact can be written");
    Event { at: event.at, fact: serde_json::from_slice(&kept).expect("what was written can be read") }
}

// Commands.

pub fn tick() -> Command {
    tick_when(Readiness::Ready)
}

pub fn tick_when(readiness: Readiness) -> Command {
    Command::Tick { readiness, runner: RUNNER }
}

/// The runner of the story is gone.
pub fn interrupt() -> Command {
    Command::Interrupt { gone: RUNNER }
}

/// The courier's outcome of an attempt; no jitter.
pub fn answered(message: usize, attempt: u16, outcome: Outcome) -> Command {
    Command::SendReported {
        message: ordinal(message),
        attempt,
        outcome,
        aliases: Vec::new(),
        jitter: Jitter::thousandths(0),
    }
}

/// A report by the message's channel in [`policy`]: WhatsApp for the first, SMS for all others.
pub fn report(message: usize, status: ReportStatus) -> Command {
    report_by(if message == 1 { WHATSAPP } else { SMS }, message, status)
}

pub fn report_by(channel: &str, message: usize, status: ReportStatus) -> Command {
    Command::Report {
        message: ordinal(message),
        channel: ChannelName::new(channel),
        report: Report {
            status,
            reported_at: None,
            provider_ref: None,
            reference: None,
            aliases: Vec::new(),
        },
    }
}

pub fn right_code() -> Command {
    Command::Check(Comparison::Match)
}

pub fn wrong_code() -> Command {
    Command::Check(Comparison::Differ)
}

pub fn resend() -> Command {
    Command::Resend { channel: None }
}

pub fn resend_by(channel: &str) -> Command {
    Command::Resend { channel: Some(ChannelName::new(channel)) }
}

pub fn by_operator(act: OperatorAct) -> Command {
    let reason = Some(Sealed(Box::from(*b"sealed reason")));
    Command::ByOperator { by: operator(), reason, act }
}

pub fn operator() -> UserName {
    UserName::parse("anna").expect("a plain name")
}

pub fn operator_acted(action: OperatorAction) -> Fact {
    let reason = Some(Sealed(Box::from(*b"sealed reason")));
    Fact::OperatorActed { by: operator(), action, reason }
}

pub fn disown() -> Command {
    Command::Disown { message: Some(ordinal(1)), standing: Standing::Applied, aim: Aim::This }
}

pub fn reply() -> Command {
    Command::Reply { message: Some(ordinal(1)), kind: "text".to_owned(), standing: Standing::Applied }
}

// Outcomes and errors.

pub fn reference(message: usize) -> ProviderRef {
    ProviderRef::parse(&format!("wamid.{message}")).expect("visible ASCII")
}

pub fn taken(message: usize) -> Outcome {
    Outcome::Accepted { provider_ref: Some(reference(message)) }
}

/// Accepted by a provider that gives no id.
pub fn taken_nameless() -> Outcome {
    Outcome::Accepted { provider_ref: None }
}

pub fn held(message: usize) -> Outcome {
    Outcome::Held { provider_ref: reference(message) }
}

pub fn refused(class: ErrorClass) -> Outcome {
    Outcome::Refused { error: error(class), retry_after: None }
}

pub fn busy_for(wish: i64) -> Outcome {
    Outcome::Refused { error: error(ErrorClass::Retry), retry_after: Some(millis(wish)) }
}

pub fn lost() -> Outcome {
    Outcome::InDoubt { error: error(ErrorClass::InDoubt) }
}

pub fn error(class: ErrorClass) -> DeliveryError {
    DeliveryError { code: "131026".to_owned(), title: "Message undeliverable".to_owned(), class }
}

pub fn failed() -> ReportStatus {
    ReportStatus::Failed(error(ErrorClass::Recipient))
}

pub fn unknown_status() -> ReportStatus {
    ReportStatus::Unknown("WARNING".to_owned())
}

// Facts.

/// Queued by its step; with `fallback_at` unless it is the last one.
pub fn queued(message: usize, step: u8, channel: &str, fallback_at: Option<i64>) -> Fact {
    queued_as(Occasion::Step, message, step, channel, fallback_at)
}

pub fn queued_as(
    occasion: Occasion,
    message: usize,
    step: u8,
    channel: &str,
    fallback_at: Option<i64>,
) -> Fact {
    Fact::MessageQueued {
        message: ordinal(message),
        step,
        channel: ChannelName::new(channel),
        occasion,
        fallback_at: fallback_at.map(time),
    }
}

pub fn send_started(message: usize, attempt: u16) -> Fact {
    Fact::SendStarted { message: ordinal(message), attempt, runner: RUNNER }
}

pub fn send_accepted(message: usize, attempt: u16) -> Fact {
    Fact::SendAccepted {
        message: ordinal(message),
        attempt,
        provider_ref: Some(reference(message)),
        aliases: Vec::new(),
    }
}

pub fn send_refused(message: usize, attempt: u16, class: ErrorClass, retry_at: Option<i64>) -> Fact {
    Fact::SendRefused {
        message: ordinal(message),
        attempt,
        error: error(class),
        retry_at: retry_at.map(time),
    }
}

pub fn send_in_doubt(message: usize, attempt: u16, settle_by: Option<i64>) -> Fact {
    Fact::SendInDoubt {
        message: ordinal(message),
        attempt,
        error: error(ErrorClass::InDoubt),
        settle_by: settle_by.map(time),
    }
}

/// As [`send_in_doubt`], because the process stopped.
pub fn interrupted(message: usize, attempt: u16, settle_by: Option<i64>) -> Fact {
    Fact::SendInDoubt {
        message: ordinal(message),
        attempt,
        error: DeliveryError {
            code: "interrupted".to_owned(),
            title: "twotick stopped while the request was under way".to_owned(),
            class: ErrorClass::InDoubt,
        },
        settle_by: settle_by.map(time),
    }
}

pub fn applied(message: usize, status: ReportStatus) -> Fact {
    reported(message, status, Standing::Applied)
}

pub fn stale(message: usize, status: ReportStatus) -> Fact {
    reported(message, status, Standing::Stale)
}

fn reported(message: usize, status: ReportStatus, standing: Standing) -> Fact {
    Fact::Reported {
        message: ordinal(message),
        status,
        standing,
        reported_at: None,
        provider_ref: None,
        aliases: Vec::new(),
    }
}

pub fn fell_back(message: usize, to_step: u8, reason: FallbackReason) -> Fact {
    Fact::FellBack { message: ordinal(message), to_step, reason }
}

pub fn step_skipped(message: usize) -> Fact {
    Fact::StepSkipped { message: ordinal(message) }
}

pub fn resend_requested(channel: Option<&str>) -> Fact {
    Fact::ResendRequested { channel: channel.map(ChannelName::new) }
}

pub fn code_disowned() -> Fact {
    Fact::CodeDisowned { message: Some(ordinal(1)), standing: Standing::Applied, aim: Aim::This }
}

pub fn reply_received() -> Fact {
    Fact::ReplyReceived { message: Some(ordinal(1)), kind: "text".to_owned(), standing: Standing::Applied }
}
