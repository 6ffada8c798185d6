//! A second implementation of the machine, written from the contract and simpler: it keeps the history of each message
//! and answers each question by a scan.

use twotick::verification::event::Aim;
use twotick::verification::policy::OnDoubt;
use twotick::verification::values::{ErrorClass, Outcome, ReportStatus};
use twotick::verification::{Command, Comparison, OperatorAct, Policy, Readiness};

/// The limit for an attempt without a response.
const ANSWER_LIMIT: i64 = 120_000;

/// The time and the sequence number of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    happening: usize,
    at: i64,
}

#[derive(Clone, Debug)]
struct Note {
    step: usize,
    by_doubt: bool,
    queued: Mark,
    tries: Vec<(Mark, Option<(Mark, Answer)>)>,
    reports: Vec<(Mark, ReportStatus)>,
    fell_back: Option<Mark>,
    /// The state after it was dropped from the queue.
    put_away: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    Again { not_before: i64 },
    Never,
    Lost,
}

pub struct SimpleMachine {
    policy: Policy,
    expires_at: i64,
    notes: Vec<Note>,
    ended: Option<&'static str>,
    gave_up: bool,
    wrong: u8,
    resends: usize,
    mark: Mark,
}

/// The part that both machines must agree on after each step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub status: &'static str,
    pub wrong: u8,
    pub resends: usize,
    pub fallback_at: Option<i64>,
    pub delivered_by: Option<String>,
    pub due_at: Option<i64>,
    pub messages: Vec<MessageView>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    pub channel: String,
    pub step: usize,
    pub state: &'static str,
    pub requests: usize,
    pub answer_awaited: bool,
    pub late: bool,
}

impl Note {
    fn first(&self, which: impl Fn(&ReportStatus) -> bool) -> Option<Mark> {
        self.reports.iter().find(|(_, status)| which(status)).map(|(mark, _)| *mark)
    }

    fn delivered(&self) -> Option<Mark> {
        self.first(|status| matches!(status, ReportStatus::Delivered | ReportStatus::Read))
    }

    fn read(&self) -> Option<Mark> {
        self.first(|status| *status == ReportStatus::Read)
    }

    fn late(&self) -> bool {
        self.fell_back.is_some() && self.delivered() > self.fell_back
    }

    fn answer_awaited(&self) -> bool {
        self.tries.last().is_some_and(|(_, answer)| answer.is_none())
    }

    /// The answer to the last attempt, unless an earlier report is more specific.
    fn answer(&self) -> Option<(Mark, Answer)> {
        let answer = self.tries.last().and_then(|(_, answer)| *answer)?;
        self.reports.iter().all(|(mark, _)| *mark > answer.0).then_some(answer)
    }

    fn state(&self) -> &'static str {
        let failed = self.first(|status| matches!(status, ReportStatus::Failed(_))).is_some();
        let never = self.answer().is_some_and(|(_, answer)| answer == Answer::Never);
        if self.read().is_some() {
            "read"
        } else if self.delivered().is_some() {
            "delivered"
        } else if let Some(word) = self.put_away {
            word
        } else if failed || never {
            "failed"
        } else if self.first(|status| *status == ReportStatus::Sent).is_some() {
            "sent"
        } else if self.answer_awaited() {
            "sending"
        } else {
            match self.answer() {
                None | Some((_, Answer::Again { .. })) => "queued",
                Some((_, Answer::Taken)) => "accepted",
                Some((_, Answer::Lost)) => "in_doubt",
                Some((_, Answer::Never)) => "failed",
            }
        }
    }

    fn not_before(&self) -> i64 {
        match self.answer() {
            Some((_, Answer::Again { not_before })) => not_before,
            Some(_) | None => self.queued.at,
        }
    }
}

impl SimpleMachine {
    pub fn new(policy: &Policy) -> Self {
        let expires_at = length(policy.code_ttl);
        let mark = Mark { happening: 0, at: 0 };
        let mut machine = Self {
            policy: policy.clone(),
            expires_at,
            notes: Vec::new(),
            ended: None,
            gave_up: false,
            wrong: 0,
            resends: 0,
            mark,
        };
        machine.queue(0, false);
        machine
    }

    /// Applies a command and returns whether it was valid. The jitter `wait` is always zero.
    pub fn take(&mut self, command: &Command, now: i64) -> bool {
        self.mark = Mark { happening: self.mark.happening + 1, at: now };
        let over = self.ended.is_some() || now >= self.expires_at;
        match command {
            Command::Request(_) => return false,
            Command::Tick { readiness, .. } => self.tick(*readiness),
            Command::SendReported { message, attempt, outcome, .. } => {
                let Some(note) = self.notes.get(message.index()) else { return false };
                if note.answer_awaited() && note.tries.len() == usize::from(*attempt) {
                    self.outcome(message.index(), outcome);
                }
            }
            Command::Interrupt { .. } => {
                for index in 0..self.notes.len() {
                    if self.notes[index].answer_awaited() {
                        self.answer(index, Answer::Lost);
                    }
                }
            }
            Command::Report { message, channel, report } => {
                let known = self.notes.get(message.index());
                if known.is_none_or(|note| self.policy.steps[note.step].channel != *channel) {
                    return false;
                }
                let was = self.notes[message.index()].state();
                let hangs = self.hangs_on(message.index());
                if !matches!(report.status, ReportStatus::Unknown(_)) {
                    self.notes[message.index()].reports.push((self.mark, report.status.clone()));
                }
                if hangs && was != "failed" && self.notes[message.index()].state() == "failed" {
                    self.fall_back();
                }
            }
            Command::Check(Comparison::Differ)
                if self.ended == Some("approved") && self.wrong < self.policy.max_checks =>
            {
                self.wrong += 1;
            }
            Command::Check(_) if self.ended.is_some() => {}
            Command::Check(_) if over => self.end("expired"),
            Command::Check(Comparison::Match) => self.end("approved"),
            Command::Check(Comparison::Differ) => {
                self.wrong += 1;
                if self.wrong == self.policy.max_checks {
                    self.end("exhausted");
                }
            }
            Command::Resend { channel } => {
                let current = self.notes.last().map(|note| note.step);
                let step = match channel {
                    None => current,
                    Some(name) => self.policy.steps.iter().position(|step| step.channel == *name),
                };
                let sends = self
                    .notes
                    .iter()
                    .flat_map(|note| note.tries.iter().map(|(mark, _)| mark.at).chain([note.queued.at]));
                let last_send = sends.max().unwrap_or(0);
                let wait = self.policy.resend_after_ms.get(self.resends);
                match (step, wait) {
                    (Some(step), Some(wait)) if !over && now >= last_send + wait.cast_signed() => {
                        self.resends += 1;
                        self.put_queued_away("failed");
                        self.queue(step, false);
                    }
                    _ => return false,
                }
            }
            Command::Next => {
                let step = self.notes.last().map_or(0, |note| note.step) + 1;
                if over || step >= self.policy.steps.len() {
                    return false;
                }
                self.fall_back();
            }
            Command::Cancel if self.ended == Some("canceled") => {}
            Command::Cancel if over => return false,
            Command::Cancel => self.end("canceled"),
            Command::ByOperator { act, .. } => match act {
                OperatorAct::Reveal => {}
                OperatorAct::Resend { channel } => {
                    return self.take(&Command::Resend { channel: channel.clone() }, now);
                }
                OperatorAct::Next => return self.take(&Command::Next, now),
                OperatorAct::Cancel => return self.take(&Command::Cancel, now),
            },
            Command::Abandon(_) | Command::Erase if self.ended.is_some() => {}
            Command::Abandon(_) | Command::Erase => self.end(if over { "expired" } else { "canceled" }),
            Command::Reply { .. } => {}
            Command::Disown { aim: Aim::Perhaps, .. } => {}
            Command::Disown { .. } if self.ended.is_some() => {}
            Command::Disown { .. } => self.end(if over { "expired" } else { "canceled" }),
        }
        true
    }

    pub fn view(&self) -> View {
        let first_delivered =
            self.notes.iter().filter_map(|note| note.delivered().map(|mark| (mark, note.step))).min();
        View {
            status: self.ended.unwrap_or("pending"),
            wrong: self.wrong,
            resends: self.resends,
            fallback_at: self.deadline(),
            delivered_by: first_delivered.map(|(_, step)| self.policy.steps[step].channel.to_string()),
            due_at: self.due_at(),
            messages: self
                .notes
                .iter()
                .map(|note| MessageView {
                    channel: self.policy.steps[note.step].channel.to_string(),
                    step: note.step,
                    state: note.state(),
                    requests: note.tries.len(),
                    answer_awaited: note.answer_awaited(),
                    late: note.late(),
                })
                .collect(),
        }
    }

    fn tick(&mut self, readiness: Readiness) {
        let now = self.mark.at;
        let passed = |at: Option<i64>| at.is_some_and(|at| at <= now);
        let current = self.notes.len() - 1;
        if self.ended.is_none() && now >= self.expires_at {
            self.end("expired");
        } else if passed(self.deadline()) {
            self.fall_back();
        } else if passed(self.doubt_ends()) {
            self.notes[current].fell_back = Some(self.mark);
            self.queue(self.notes[current].step, true);
        } else if passed(self.send_at()) && readiness != Readiness::Throttled {
            self.send(readiness);
        } else if let Some(silent) = (0..=current).find(|&index| passed(self.answer_by(index))) {
            self.answer(silent, Answer::Lost);
        }
    }

    fn send(&mut self, readiness: Readiness) {
        let (waiting, mark) = (self.waiting(), self.mark);
        let Some(note) = self.notes.last_mut() else { return };
        if readiness == Readiness::Ready {
            note.tries.push((mark, None));
            return;
        }
        let step = note.step + 1;
        self.put_queued_away("failed");
        if waiting && step < self.policy.steps.len() {
            self.queue(step, false);
        } else if waiting {
            self.gave_up = true;
        }
    }

    fn outcome(&mut self, index: usize, outcome: &Outcome) {
        let hangs = self.hangs_on(index) && self.notes[index].reports.is_empty();
        let answer = match outcome {
            Outcome::Accepted { .. } | Outcome::Held { .. } => Answer::Taken,
            Outcome::InDoubt { .. } => Answer::Lost,
            Outcome::Refused { error, retry_after } => {
                let doublings = self.notes[index].tries.len() as u32 - 1;
                let own = (500 * 2_i64.pow(doublings)).min(60_000);
                let at = self.mark.at + retry_after.map_or(own, |wish| length(wish).max(500));
                let in_time = at < self.deadline().unwrap_or(self.expires_at);
                let wanted = self.ended.is_none()
                    && index + 1 == self.notes.len()
                    && self.notes[index].reports.is_empty();
                if error.class == ErrorClass::Retry && in_time && wanted {
                    Answer::Again { not_before: at }
                } else {
                    Answer::Never
                }
            }
        };
        self.answer(index, answer);
        let held = matches!(outcome, Outcome::Held { .. });
        if hangs && (held || answer == Answer::Never) {
            self.fall_back();
        }
    }

    fn answer(&mut self, index: usize, answer: Answer) {
        let mark = self.mark;
        if let Some((_, open)) = self.notes[index].tries.last_mut() {
            *open = Some((mark, answer));
        }
    }

    fn fall_back(&mut self) {
        let current = self.notes.len() - 1;
        let step = self.notes[current].step + 1;
        self.put_queued_away("failed");
        if step < self.policy.steps.len() {
            self.notes[current].fell_back = Some(self.mark);
            self.queue(step, false);
        } else {
            self.gave_up = true;
        }
    }

    fn queue(&mut self, step: usize, by_doubt: bool) {
        self.gave_up = false;
        self.notes.push(Note {
            step,
            by_doubt,
            queued: self.mark,
            tries: Vec::new(),
            reports: Vec::new(),
            fell_back: None,
            put_away: None,
        });
    }

    fn end(&mut self, how: &'static str) {
        self.put_queued_away("dropped");
        self.ended = Some(how);
    }

    fn put_queued_away(&mut self, where_tried: &'static str) {
        for note in self.notes.iter_mut().filter(|note| note.state() == "queued") {
            note.put_away = Some(if note.tries.is_empty() { "dropped" } else { where_tried });
        }
    }

    /// Whether the last queued message is still decisive: nothing was delivered or read since.
    fn waiting(&self) -> bool {
        let since = self.notes.last().map(|note| note.queued);
        let news = self.notes.iter().flat_map(|note| [note.delivered(), note.read()]);
        self.ended.is_none() && !self.gave_up && news.flatten().all(|mark| Some(mark) < since)
    }

    fn hangs_on(&self, index: usize) -> bool {
        self.waiting() && index + 1 == self.notes.len() && self.mark.at < self.expires_at
    }

    fn deadline(&self) -> Option<i64> {
        let note = self.notes.last().filter(|_| self.waiting())?;
        let within = self.policy.steps[note.step].deliver_within?;
        Some(note.queued.at + length(within)).filter(|&at| at < self.expires_at)
    }

    /// The time at which a doubt about the last step leads to another message.
    fn doubt_ends(&self) -> Option<i64> {
        let note = self.notes.last().filter(|note| self.waiting() && note.state() == "in_doubt")?;
        let step = &self.policy.steps[note.step];
        let last = note.step + 1 == self.policy.steps.len();
        let again = last && !note.by_doubt && step.on_doubt == OnDoubt::ResendOnce;
        note.answer()
            .filter(|(mark, _)| again && mark.at < self.expires_at)
            .map(|(mark, _)| mark.at + length(step.in_doubt_wait))
    }

    fn answer_by(&self, index: usize) -> Option<i64> {
        let note = &self.notes[index];
        note.tries.last().filter(|_| note.answer_awaited()).map(|(started, _)| started.at + ANSWER_LIMIT)
    }

    fn send_at(&self) -> Option<i64> {
        let note = self.notes.last().filter(|note| self.ended.is_none() && note.state() == "queued")?;
        Some(note.not_before())
    }

    fn due_at(&self) -> Option<i64> {
        let expiry = self.ended.is_none().then_some(self.expires_at);
        let answers = (0..self.notes.len()).filter_map(|index| self.answer_by(index));
        [expiry, self.deadline(), self.doubt_ends(), self.send_at()]
            .into_iter()
            .flatten()
            .chain(answers)
            .min()
    }
}

fn length(of: std::time::Duration) -> i64 {
    of.as_millis() as i64
}
