//! The machine against the simpler one, step by step, on a virtual clock: reports in any order, duplicated, late or
//! missing; ticks early, late and twice; all outcomes; crashes before and after a commit; and two commands racing on
//! one version. After every step both agree and I1 to I12 hold.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use twotick::verification::event::{AbandonReason, Occasion};
use twotick::verification::policy::OnDoubt;
use twotick::verification::state::{Message, Phase, Progress};
use twotick::verification::values::ErrorClass::{Configuration, Fallback, Recipient, Retry, Sender};
use twotick::verification::values::{Outcome, ReportStatus};
use twotick::verification::{
    Command, Effect, Event, Fact, OperatorAct, Policy, Readiness, Rejection, State, Why, due, effect, evolve,
};

use crate::invariants::{Answered, Log, SeenRequest, Witness, broken};
use crate::simple::{MessageView, SimpleMachine, View};
use crate::story::*;

const CASES: u32 = 2_500;
const LONGEST_CASE: usize = 60;

#[test]
fn the_machine_agrees_with_the_model_and_keeps_its_invariants() {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let seen = Seen::default();
    let cases = (0..policies().len(), prop::collection::vec(step(), 1..LONGEST_CASE));
    TestRunner::new(config)
        .run(&cases, |(policy, steps)| play(policies().swap_remove(policy), &steps, &seen))
        .unwrap_or_else(|failure| panic!("{failure}"));
    seen.assert_that_the_cases_were_not_dull();
}

/// A step, and whether the process survives it.
#[derive(Clone, Debug)]
struct Step {
    wait: Wait,
    asked: Asked,
    fate: Fate,
}

#[derive(Clone, Copy, Debug)]
enum Wait {
    None,
    Millis(i64),
    /// Advances relative to the next due that is not the expiry, in milliseconds.
    Due(i64),
    /// Advances relative to the expiry, which ends most possibilities and is therefore rare.
    Expiry(i64),
}

/// A command before its message is known.
#[derive(Clone, Debug)]
enum Asked {
    Tick(Readiness),
    TickUntilQuiet,
    /// The outcome of the n-th attempt in progress; with `stray`, of the n-th attempt ever.
    Outcome {
        nth: usize,
        outcome: Outcome,
        stray: bool,
    },
    /// A report on the n-th message ever sent.
    Report {
        nth: usize,
        status: ReportStatus,
    },
    App(Command),
}

#[derive(Clone, Debug)]
enum Fate {
    Committed,
    /// Decided on the same state as this command, which is committed first.
    LosesTheRaceTo(Asked),
    /// The process crashes before the commit.
    DiesBefore,
    /// The process crashes after the commit, before any request or answer.
    DiesAfter,
}

fn policies() -> Vec<Policy> {
    let three = [(WHATSAPP, Some(20_000)), (SMS, Some(40_000)), ("voice", None)];
    let short = Policy {
        code_ttl: Duration::from_secs(45),
        resend_after_ms: vec![0, 1_000, 1_000, 20_000],
        ..policy()
    };
    vec![
        policy(),
        policy_of(&[(SMS, None)], OnDoubt::Hold),
        policy_of(&three, OnDoubt::ResendOnce),
        Policy { resend_after_ms: vec![500; 10], ..policy() },
        short,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        14 => Just(Fate::Committed),
        2 => asked().prop_map(Fate::LosesTheRaceTo),
        1 => Just(Fate::DiesBefore),
        1 => Just(Fate::DiesAfter),
    ];
    (wait(), asked(), fate).prop_map(|(wait, asked, fate)| Step { wait, asked, fate })
}

fn wait() -> impl Strategy<Value = Wait> {
    prop_oneof![
        24 => Just(Wait::None),
        12 => prop::sample::select(vec![1, 100, 500, 1_000, 5_000, 15_000, 30_000]).prop_map(Wait::Millis),
        8 => (-1..=1_i64).prop_map(Wait::Due),
        1 => Just(Wait::Millis(120_000)),
        1 => (-1..=1_i64).prop_map(Wait::Expiry),
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    let readiness = prop_oneof![8 => Just(Readiness::Ready), 1 => Just(Readiness::Throttled), 1 => Just(Readiness::BreakerOpen)];
    let status = prop::sample::select(vec![
        ReportStatus::Sent,
        ReportStatus::Delivered,
        ReportStatus::Read,
        failed(),
        unknown_status(),
    ]);
    let app = prop_oneof![
        1 => Just(right_code()),
        6 => Just(wrong_code()),
        12 => prop::sample::select(vec![resend(), resend_by(WHATSAPP), resend_by(SMS), resend_by("pigeon")]),
        4 => Just(Command::Next),
        1 => Just(Command::Cancel),
        1 => Just(Command::Erase),
        1 => prop::sample::select(AbandonReason::ALL.to_vec()).prop_map(Command::Abandon),
        2 => prop::sample::select(vec![
            OperatorAct::Reveal,
            OperatorAct::Resend { channel: None },
            OperatorAct::Next,
            OperatorAct::Cancel,
        ])
        .prop_map(by_operator),
        1 => Just(disown()),
        3 => Just(reply()),
    ];
    prop_oneof![
        8 => readiness.prop_map(Asked::Tick),
        3 => Just(Asked::TickUntilQuiet),
        8 => (0..4_usize, outcome(), prop::bool::weighted(0.1))
            .prop_map(|(nth, outcome, stray)| Asked::Outcome { nth, outcome, stray }),
        8 => (0..4_usize, status).prop_map(|(nth, status)| Asked::Report { nth, status }),
        3 => app.prop_map(Asked::App),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let classes = prop::sample::select(vec![Retry, Retry, Fallback, Recipient, Sender, Configuration]);
    let wishes = prop::sample::select(vec![0, 700, 5_000, 29_999, 30_000, 700_000]);
    prop_oneof![
        3 => Just(taken(1)),
        1 => Just(taken_nameless()),
        1 => Just(held(1)),
        4 => classes.prop_map(refused),
        2 => wishes.prop_map(busy_for),
        3 => Just(lost()),
    ]
}

/// The process, its disk and its readers.
struct World {
    story: Story,
    simple: SimpleMachine,
    witness: Witness,
    seen_by_readers: Vec<State>,
    steps: Vec<String>,
}

fn play(policy: Policy, steps: &[Step], seen: &Seen) -> Result<(), TestCaseError> {
    let simple = SimpleMachine::new(&policy);
    let story = requested_under(policy);
    let mut world =
        World { story, simple, witness: Witness::default(), seen_by_readers: Vec::new(), steps: Vec::new() };
    world.check()?;
    for step in steps {
        world.wait(step.wait);
        world.happen(step, seen)?;
    }
    world.settle()
}

impl World {
    fn wait(&mut self, wait: Wait) {
        self.story.now = match wait {
            Wait::None => self.story.now,
            Wait::Millis(length) => self.story.now + length,
            Wait::Due(offset) => match due(&self.story.state) {
                Some((at, why)) if why != Why::Expiry => (since_request(at) + offset).max(self.story.now),
                Some(_) | None => self.story.now,
            },
            Wait::Expiry(offset) => {
                let expiry = self.story.verification().expires_at;
                (since_request(expiry) + offset).max(self.story.now)
            }
        };
    }

    fn happen(&mut self, step: &Step, seen: &Seen) -> Result<(), TestCaseError> {
        let Some(command) = self.command(&step.asked) else { return self.tick_until_quiet() };
        match &step.fate {
            Fate::Committed => self.commit(&command)?,
            Fate::LosesTheRaceTo(winner) => {
                let stale = self.story.decide(&command);
                if let Some(winner) = self.command(winner) {
                    self.commit(&winner)?;
                }
                seen.note_race(&self.story, stale);
                self.commit(&command)?;
            }
            Fate::DiesBefore => {
                let _decided_and_lost = self.story.decide(&command);
                self.restart()?;
            }
            Fate::DiesAfter => {
                let _unanswered = self.append(&command)?;
                self.restart()?;
            }
        }
        seen.note(&self.story);
        Ok(())
    }

    /// Converts a step to a command on existing messages; `None` means to tick until nothing is due.
    fn command(&self, asked: &Asked) -> Option<Command> {
        let messages = &self.story.verification().messages;
        let pick = |which: fn(&Message) -> bool, nth: usize| {
            let chosen: Vec<_> = messages.iter().filter(|message| which(message)).collect();
            chosen.get(nth % chosen.len().max(1)).copied().unwrap_or(&messages[0])
        };
        match asked {
            Asked::Tick(readiness) => Some(tick_when(*readiness)),
            Asked::TickUntilQuiet => None,
            Asked::Outcome { nth, outcome, stray } => {
                let message =
                    pick(if *stray { |_| true } else { |message| message.open_attempt.is_some() }, *nth);
                let attempt = message.attempts.saturating_sub(u16::from(*stray));
                Some(answered(message.ordinal.index() + 1, attempt, outcome.clone()))
            }
            Asked::Report { nth, status } => {
                let message = pick(|message| message.attempts > 0, *nth);
                let never_sent = message.attempts == 0;
                let channel = if never_sent { "none" } else { message.channel.as_str() };
                Some(report_by(channel, message.ordinal.index() + 1, status.clone()))
            }
            Asked::App(command) => Some(command.clone()),
        }
    }

    /// Decides, makes durable, and only then publishes, answers and executes.
    fn commit(&mut self, command: &Command) -> Result<(), TestCaseError> {
        let answer = self.append(command)?;
        let log_length = self.story.events.len();
        if let Ok(events) = answer {
            for event in &events {
                if let Some(Effect::Submit { message, attempt }) = effect(event) {
                    self.witness.requests.push(SeenRequest { message, attempt, durable: log_length });
                }
            }
            if let Command::Report { message, report, .. } = command {
                self.witness.acked_reports.push((*message, report.status.clone()));
            }
            let compared = |event: &&Event| matches!(event.fact, Fact::CheckFailed | Fact::CheckPassed);
            self.witness.tries_answered += events.iter().filter(compared).count();
            self.witness.answered.push(Answered { events, log_length });
        }
        self.check()
    }

    /// Decides and makes durable. The simpler machine applies the command too, and both must agree on its validity.
    fn append(&mut self, command: &Command) -> Result<Result<Vec<Event>, Rejection>, TestCaseError> {
        self.steps.push(format!("{} ms: {command:?}", self.story.now));
        let answer = self.story.decide(command);
        let in_order = self.simple.take(command, self.story.now);
        prop_assert_eq!(answer.is_ok(), in_order, "{:?} was answered {:?}; {}", command, answer, self.told());
        if let Ok(events) = &answer {
            self.story.commit(events.clone());
        }
        Ok(answer)
    }

    /// Only the disk survives; attempts in progress are in doubt.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        let kept: Vec<_> = self.story.events.iter().map(reread).collect();
        self.story.state = State::fold(&kept);
        self.commit(&interrupt())
    }

    fn tick_until_quiet(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..20 {
            if due(&self.story.state).is_none_or(|(at, _)| at > time(self.story.now)) {
                self.witness.ticked_until = Some(time(self.story.now));
                return self.check();
            }
            self.commit(&tick())?;
        }
        Err(TestCaseError::fail(format!("ticks find no end; {}", self.told())))
    }

    /// In the end nothing is left to do.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        crate::texts::check(&self.story)?;
        self.story.now = self.story.now.max(EXPIRY);
        self.tick_until_quiet()?;
        self.story.now += 120_000;
        self.tick_until_quiet()?;
        prop_assert_eq!(due(&self.story.state), None, "{}", self.told());
        self.witness.read = std::mem::take(&mut self.seen_by_readers);
        crate::texts::check(&self.story)?;
        self.check()
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        prop_assert_eq!(view(&self.story.state), self.simple.view(), "{}", self.told());
        self.witness.read.push(self.story.state.clone());
        let log = Log { policy: &self.story.policy, events: &self.story.events };
        let broken = broken(&log, &self.witness);
        prop_assert!(broken.is_none(), "{}; {}", broken.unwrap_or_default(), self.told());
        // All states ever read are checked once more at the end.
        self.seen_by_readers.append(&mut self.witness.read);
        Ok(())
    }

    fn told(&self) -> String {
        format!("after\n  {}", self.steps.join("\n  "))
    }
}

fn view(state: &State) -> View {
    let State::Known(verification) = state else { panic!("a case begins with its request") };
    View {
        status: match verification.phase {
            Phase::Pending(_) => "pending",
            Phase::Ended { ending, .. } => ending.as_str(),
        },
        wrong: verification.failed_checks,
        resends: usize::from(verification.resends),
        fallback_at: verification.fallback_at().map(since_request),
        delivered_by: verification.delivered_by.as_ref().map(ToString::to_string),
        due_at: due(state).map(|(at, _)| since_request(at)),
        messages: verification.messages.iter().map(message_view).collect(),
    }
}

fn message_view(message: &Message) -> MessageView {
    MessageView {
        channel: message.channel.to_string(),
        step: usize::from(message.step),
        state: match message.progress {
            Progress::Queued { .. } => "queued",
            Progress::Sending => "sending",
            Progress::InDoubt { .. } => "in_doubt",
            Progress::Accepted => "accepted",
            Progress::Sent => "sent",
            Progress::Failed => "failed",
            Progress::Delivered => "delivered",
            Progress::Read => "read",
            Progress::Dropped => "dropped",
        },
        requests: usize::from(message.attempts),
        answer_awaited: message.open_attempt.is_some(),
        late: message.late,
    }
}

/// The coverage over all cases: a test of the test.
#[derive(Default)]
struct Seen {
    steps: AtomicUsize,
    fell_back: AtomicUsize,
    late: AtomicUsize,
    doubt_sent_again: AtomicUsize,
    ended: AtomicUsize,
    races: AtomicUsize,
    races_that_a_second_decision_saved: AtomicUsize,
}

impl Seen {
    fn note(&self, story: &Story) {
        let add = |counter: &AtomicUsize, more: bool| counter.fetch_add(usize::from(more), Ordering::Relaxed);
        add(&self.steps, true);
        match story.facts().last() {
            Some(Fact::MessageQueued { occasion: Occasion::Step, .. }) => add(&self.fell_back, true),
            Some(Fact::MessageQueued { occasion: Occasion::Doubt, .. }) => add(&self.doubt_sent_again, true),
            Some(_) | None => 0,
        };
        add(&self.late, story.verification().messages.iter().any(|message| message.late));
        add(&self.ended, story.ending().is_some());
    }

    /// Records whether appending a decision made on the outdated state would have broken an invariant.
    fn note_race(&self, story: &Story, stale: Result<Vec<Event>, Rejection>) {
        let Ok(stale) = stale else { return };
        self.races.fetch_add(1, Ordering::Relaxed);
        let naive: Vec<_> = story.events.iter().cloned().chain(stale).collect();
        let naive_state = naive.iter().fold(State::New, evolve);
        let log = Log { policy: &story.policy, events: &naive };
        let witness = Witness { read: vec![naive_state], ..Witness::default() };
        if broken(&log, &witness).is_some() {
            self.races_that_a_second_decision_saved.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn assert_that_the_cases_were_not_dull(&self) {
        let counters = [
            ("steps", &self.steps),
            ("fell back", &self.fell_back),
            ("late", &self.late),
            ("doubt sent again", &self.doubt_sent_again),
            ("after the end", &self.ended),
            ("races", &self.races),
            ("races that a naive append would have lost", &self.races_that_a_second_decision_saved),
        ];
        for (name, counter) in counters {
            let count = counter.load(Ordering::Relaxed);
            println!("{name}: {count}");
            assert!(count > 0, "no case came to this: {name}");
        }
    }
}
