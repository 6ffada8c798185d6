//! Complete verifications: created, sent to Meta's stand-in, reported sent, delivered and read, and the code checked.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use twotick::verification::values::MessageId;

use crate::Outcome;
use crate::load::{self, Next, Source};
use crate::orders::{self, Created, Status};
use crate::providers::Providers;
use crate::report::{Goal, Report};
use crate::server::{NUMBERS, Server};

const WHOLE: usize = 30_000;
/// Concurrent verifications, each with one request at a time.
const AT_ONCE: usize = 256;
const CONNECTIONS: usize = 128;
/// The interval for asking the stand-in whether it received a message.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

pub fn measure(folder: &Path, report: &mut Report) -> Outcome<()> {
    let providers = Providers::start()?;
    let server = Server::start(&folder.join("whole"), providers.addr)?;
    let mut lives = Lives::new(&providers);
    let run = load::run_from(server.addr, CONNECTIONS, &mut lives)?;
    if lives.approved != WHOLE {
        return Err(format!("{} of {WHOLE} were approved", lives.approved).into());
    }
    let rate = WHOLE as f64 / run.took.as_secs_f64();
    report.figure("whole verifications", rate, "/s", Goal::AtLeast(1_500.0));
    report.note("whole verifications, requests", run.rate(), "/s");
    report.note(
        "whole verifications, from the create to the check's answer, p50",
        quantile(&lives.took, 0.5),
        "ms",
    );
    report.note(
        "whole verifications, from the create to the check's answer, p99",
        quantile(&lives.took, 0.99),
        "ms",
    );
    report.curves(
        "whole",
        "256 verifications at once",
        &[("a whole verification", &lives.took), ("one request of it", &run.waits)],
    )
}

fn quantile(waits: &Histogram<u64>, quantile: f64) -> f64 {
    waits.value_at_quantile(quantile) as f64 / 1e3
}

struct Lives<'a> {
    providers: &'a Providers,
    lives: Vec<Life>,
    /// Created messages not yet seen at the stand-in.
    created: HashMap<MessageId, usize>,
    /// Messages that the stand-in received before the response to their create, with their codes.
    early: HashMap<MessageId, String>,
    /// Verifications that may send a request.
    ready: VecDeque<usize>,
    request: Vec<u8>,
    approved: usize,
    ended: usize,
    took: Histogram<u64>,
}

struct Life {
    began: Duration,
    message: Option<MessageId>,
    code: String,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Creating,
    Telling(Status),
    Checking,
}

impl<'a> Lives<'a> {
    fn new(providers: &'a Providers) -> Self {
        Self {
            providers,
            lives: Vec::with_capacity(WHOLE),
            created: HashMap::new(),
            early: HashMap::new(),
            ready: VecDeque::new(),
            request: Vec::new(),
            approved: 0,
            ended: 0,
            took: Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are allowed"),
        }
    }

    fn note_taken(&mut self) {
        for taken in self.providers.take() {
            match self.created.remove(&taken.message) {
                Some(life) => self.was_taken(life, taken.code),
                None => drop(self.early.insert(taken.message, taken.code)),
            }
        }
    }

    fn was_taken(&mut self, life: usize, code: String) {
        (self.lives[life].code, self.lives[life].step) = (code, Step::Telling(Status::Sent));
        self.ready.push_back(life);
    }

    fn request_of(&self, life: usize) -> Option<Vec<u8>> {
        let Life { message, code, step, .. } = &self.lives[life];
        let channel = format!("meta{}", life % NUMBERS);
        Some(match *step {
            Step::Creating => orders::create(life, &channel),
            Step::Telling(status) => orders::webhook(&channel, &[((*message)?, status)]),
            Step::Checking => orders::check((*message)?.verification(), code),
        })
    }
}

impl Source for &mut Lives<'_> {
    fn next(&mut self, now: Duration) -> Next<'_> {
        self.note_taken();
        if self.ready.is_empty() && self.lives.len() < WHOLE && self.lives.len() - self.ended < AT_ONCE {
            self.ready.push_back(self.lives.len());
            self.lives.push(Life { began: now, message: None, code: String::new(), step: Step::Creating });
        }
        let Some(tag) = self.ready.pop_front() else {
            return if self.ended == WHOLE { Next::Over } else { Next::At(now + LOOK_AGAIN) };
        };
        self.request = self.request_of(tag).unwrap_or_default();
        Next::Send { tag, request: &self.request, counted_from: now }
    }

    fn answered(&mut self, tag: usize, body: &[u8], now: Duration) {
        match self.lives[tag].step {
            Step::Creating => {
                let Some(Created { message, .. }) = Created::read(body) else { return };
                self.lives[tag].message = Some(message);
                match self.early.remove(&message) {
                    Some(code) => self.was_taken(tag, code),
                    None => drop(self.created.insert(message, tag)),
                }
            }
            Step::Telling(status) => {
                self.lives[tag].step = match status {
                    Status::Sent => Step::Telling(Status::Delivered),
                    Status::Delivered => Step::Telling(Status::Read),
                    Status::Read => Step::Checking,
                };
                self.ready.push_back(tag);
            }
            Step::Checking => {
                self.ended += 1;
                self.approved += usize::from(body.windows(10).any(|ten| ten == b"\"approved\""));
                let took = (now - self.lives[tag].began).as_micros();
                self.took.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
            }
        }
    }
}
