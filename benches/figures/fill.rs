//! Fills a data folder through the store itself, in a separate process. Ten times as fast as HTTP, and a process can be
//! killed.

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::UnboundedReceiver;
use twotick::clock::Clock;
use twotick::phone::Phone;
use twotick::store::sled::{self, SledStore};
use twotick::store::{Answer, Errand, Order, Store};
use twotick::vault::{KeyFiles, Person, Vault, id_bits};
use twotick::verification::Policy;
use twotick::verification::command::{Command as Happening, Comparison, Jitter, Request};
use twotick::verification::policy::{Content, OnDoubt, Step};
use twotick::verification::values::{
    AppName, ChannelName, DeliveryError, ErrorClass, MessageId, NumberIndex, Ordinal, Outcome as SendOutcome,
    ProviderRef, Report, ReportStatus, VerificationId,
};

use crate::providers::wamid;
use crate::server::{APP, MASTER};
use crate::{Outcome, disk};

/// The argument that makes this program fill a folder: `fill FOLDER FINISHED LIVE`.
pub const ARGUMENT: &str = "fill";

/// The contents to create.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Approved after WhatsApp reported sent, delivered and read; every tenth after WhatsApp failed and the SMS was
    /// delivered.
    pub finished: usize,
    /// Accepted by the channel `meta0`, waiting for reports.
    pub live: usize,
}

/// The process that filled a folder, with the store still open.
pub struct Filled {
    child: Child,
    orders: ChildStdin,
    data: PathBuf,
    /// The average number of events of a finished verification.
    pub events: f64,
    /// The disk usage before the live ones were added.
    pub bytes: f64,
}

impl Filled {
    /// Fills the data folder of a server that will be started in `folder`.
    pub fn make(folder: &Path, plan: Plan) -> Outcome<Self> {
        let data = folder.join("data");
        std::fs::create_dir_all(&data)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .arg(&data)
            .args([plan.finished.to_string(), plan.live.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut line = String::new();
        BufReader::new(stdout.ok_or("no output")?).read_line(&mut line)?;
        let (events, bytes) = line.trim().split_once(' ').ok_or("the folder was not filled")?;
        let (events, bytes) = (events.parse()?, bytes.parse()?);
        Ok(Self { child, orders: stdin.ok_or("no input")?, data, events, bytes })
    }

    /// Shuts it down. Returns the live messages, if any.
    pub fn close(mut self) -> Outcome<Vec<MessageId>> {
        self.orders.write_all(b"close\n")?;
        self.child.wait()?;
        read_messages(&self.data)
    }

    /// Kills it with SIGKILL.
    pub fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

fn read_messages(data: &Path) -> Outcome<Vec<MessageId>> {
    let lines = BufReader::new(File::open(data.with_extension("messages"))?).lines();
    lines.map(|line| Ok(line?.parse()?)).collect()
}

/// Verifications that proceed together: each of their steps is one turn.
const TOGETHER: usize = 64;
const GROUPS: usize = 4;

pub fn serve(args: &[&str]) -> Outcome<()> {
    let [folder, finished, live] = args else { return Err("fill FOLDER FINISHED LIVE".into()) };
    let plan = Plan { finished: finished.parse()?, live: live.parse()? };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(fill(Path::new(folder), plan))
}

async fn fill(data: &Path, plan: Plan) -> Outcome<()> {
    let filler = Filler::open(data, Clock::System)?;
    let events = filler.finish_all(0..plan.finished).await?;
    let bytes = disk::taken(data)?;
    let mut messages = BufWriter::new(File::create(data.with_extension("messages"))?);
    for start in (plan.finished..plan.finished + plan.live).step_by(TOGETHER) {
        let end = (plan.finished + plan.live).min(start + TOGETHER);
        for id in filler.accept(start..end, &filler.waiting).await? {
            writeln!(messages, "{}", id.message(Ordinal::FIRST))?;
        }
    }
    messages.flush()?;
    println!("{} {bytes}", events as f64 / plan.finished.max(1) as f64);
    std::io::stdout().flush()?;
    std::io::stdin().lock().read_line(&mut String::new())?;
    filler.store.close().await?;
    Ok(())
}

/// A store with what is needed to fill it.
pub struct Filler {
    pub store: SledStore,
    clock: Clock,
    vault: Vault,
    /// With a fallback to SMS, for verifications that finish.
    whole: Arc<Policy>,
    /// Without a fallback, for verifications that stay live: nothing becomes due.
    waiting: Arc<Policy>,
    /// Verifications whose SMS may be reported as sent.
    falling_back: Arc<Mutex<HashSet<VerificationId>>>,
}

impl Filler {
    /// Opens the store in a data folder.
    pub fn open(data: &Path, clock: Clock) -> Outcome<Arc<Self>> {
        let vault = Vault::with_keys(&MASTER, Arc::new(KeyFiles::in_folder(&data.join("keys"))))?;
        let settings = sled::Settings {
            path: data.to_owned(),
            rates: BTreeMap::new(),
            key_id: vault.key_id(),
            limits: sled::Limits::default(),
        };
        let (store, errands) = sled::open(settings, clock.clone())?;
        let falling_back = Arc::default();
        tokio::spawn(note_sms(errands, Arc::clone(&falling_back)));
        let sms = step("sms", text(), None);
        let whatsapp = |within| step("meta0", template(), within);
        let whole = Arc::new(policy("fallback", vec![whatsapp(Some(Duration::from_secs(30))), sms]));
        let waiting = Arc::new(policy("meta0", vec![whatsapp(None)]));
        Ok(Arc::new(Self { store, clock, vault, whole, waiting, falling_back }))
    }

    /// Completes verifications, several groups concurrently. Returns their total number of events.
    pub async fn finish_all(self: &Arc<Self>, numbers: Range<usize>) -> Outcome<usize> {
        let mut groups = stream::iter(numbers.clone().step_by(TOGETHER).map(|start| {
            let (filler, end) = (Arc::clone(self), numbers.end.min(start + TOGETHER));
            tokio::spawn(async move { filler.finish(start..end).await.map_err(|error| error.to_string()) })
        }))
        .buffer_unordered(GROUPS);
        let mut events = 0;
        while let Some(made) = groups.next().await {
            events += made??;
        }
        Ok(events)
    }

    /// Completes one group. Returns its number of events.
    async fn finish(&self, numbers: Range<usize>) -> Outcome<usize> {
        let first = numbers.start;
        let ids = self.accept(numbers, &self.whole).await?;
        let falls_back = |place: usize| (first + place).is_multiple_of(10);
        let by_whatsapp: Vec<_> =
            ids.iter().enumerate().filter(|(place, _)| !falls_back(*place)).map(|(_, &id)| id).collect();
        let by_sms: Vec<_> =
            ids.iter().enumerate().filter(|(place, _)| falls_back(*place)).map(|(_, &id)| id).collect();
        self.tell(&by_sms, "meta0", Ordinal::FIRST, &ReportStatus::Failed(undeliverable())).await?;
        for status in [ReportStatus::Sent, ReportStatus::Delivered, ReportStatus::Read] {
            self.tell(&by_whatsapp, "meta0", Ordinal::FIRST, &status).await?;
        }
        while !by_sms
            .iter()
            .all(|id| self.falling_back.lock().unwrap_or_else(PoisonError::into_inner).contains(id))
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let second = Ordinal::nth(2).ok_or("an ordinal")?;
        self.send(&by_sms, second).await?;
        self.tell(&by_sms, "sms", second, &ReportStatus::Delivered).await?;
        let approve = |&id: &VerificationId| Order::Command {
            id,
            app: None,
            command: Happening::Check(Comparison::Match),
        };
        let mut events = 0;
        for answer in self.store.execute(ids.iter().map(approve).collect()).await? {
            match answer {
                Answer::Done { snapshot, .. } => events += snapshot.verification.version as usize,
                other => return Err(format!("not approved: {other:?}").into()),
            }
        }
        Ok(events)
    }

    /// Creates one verification and waits until it is durable.
    pub async fn create(&self, number: usize) -> Outcome<()> {
        let request = self.request(number, &self.waiting);
        let policy = Arc::clone(&self.waiting);
        self.store.execute(vec![Order::Create { request, policy, idempotency: None }]).await?;
        Ok(())
    }

    /// Creates verifications under a policy and records WhatsApp's acceptance.
    async fn accept(
        &self,
        numbers: Range<usize>,
        policy: &Arc<Policy>,
    ) -> Result<Vec<VerificationId>, Box<dyn Error>> {
        let requests: Vec<_> = numbers.map(|number| self.request(number, policy)).collect();
        let ids: Vec<_> = requests.iter().map(|request| request.id).collect();
        let create = |request| Order::Create { request, policy: Arc::clone(policy), idempotency: None };
        self.store.execute(requests.into_iter().map(create).collect()).await?;
        self.send(&ids, Ordinal::FIRST).await?;
        Ok(ids)
    }

    fn request(&self, number: usize, policy: &Policy) -> Arc<Request> {
        let to = format!("+49152{:08}", 20_000_000 + number % 70_000_000);
        let phone = Phone::parse(&to).expect("numbers of this block are valid");
        let index = self.vault.number_index(&phone);
        let id = VerificationId::new(self.clock.now(), index.bucket(), id_bits());
        Arc::new(Request {
            id,
            app: AppName::new(APP),
            policy: policy.hash(),
            number: index,
            tail: Some(self.vault.number_tail(phone.last_four())),
            person: self
                .vault
                .seal_person(id, &Person { to, metadata: BTreeMap::new() })
                .expect("keys are in memory"),
            country: phone.country().map(str::to_owned),
            locale: Some("en".to_owned()),
            client_ref: None,
            code: self.vault.new_code(id).expect("keys are in memory"),
        })
    }

    async fn send(&self, ids: &[VerificationId], message: Ordinal) -> Outcome<()> {
        let sent = |&id: &VerificationId| Order::Command {
            id,
            app: None,
            command: Happening::SendReported {
                message,
                attempt: 1,
                outcome: SendOutcome::Accepted { provider_ref: Some(self.sealed_ref(id, message)) },
                aliases: Vec::new(),
                jitter: Jitter::thousandths(0),
            },
        };
        self.store.execute(ids.iter().map(sent).collect()).await?;
        Ok(())
    }

    /// The reference as the courier records it.
    fn sealed_ref(&self, id: VerificationId, message: Ordinal) -> ProviderRef {
        // The choice of the leaf affects neither size nor place.
        let number = NumberIndex(id.to_bytes());
        let reference = provider_ref(id.message(message));
        self.vault.sealed_ref(id, number, self.clock.now(), reference).expect("keys are in memory")
    }

    async fn tell(
        &self,
        ids: &[VerificationId],
        channel: &str,
        message: Ordinal,
        status: &ReportStatus,
    ) -> Outcome<()> {
        let told = |&id: &VerificationId| Order::Report {
            channel: ChannelName::new(channel),
            report: Report {
                status: status.clone(),
                reported_at: Some(self.clock.now()),
                provider_ref: Some(self.vault.hidden_ref(provider_ref(id.message(message)))),
                reference: Some(id.message(message)),
                aliases: Vec::new(),
            },
        };
        self.store.execute(ids.iter().map(told).collect()).await?;
        Ok(())
    }
}

async fn note_sms(mut errands: UnboundedReceiver<Errand>, falling_back: Arc<Mutex<HashSet<VerificationId>>>) {
    while let Some(errand) = errands.recv().await {
        if errand.message != Ordinal::FIRST {
            let id = errand.snapshot.verification.id();
            falling_back.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        }
    }
}

fn provider_ref(message: MessageId) -> ProviderRef {
    ProviderRef::parse(&wamid(message)).expect("visible ASCII, short")
}

fn undeliverable() -> DeliveryError {
    let title = "Message undeliverable".to_owned();
    DeliveryError { code: "131026".to_owned(), title, class: ErrorClass::Recipient }
}

fn template() -> Content {
    let languages = BTreeMap::from([("en".to_owned(), "en_US".to_owned())]);
    Content::Template { name: "login_code".to_owned(), languages }
}

fn text() -> Content {
    let text = "{code} is your {brand} code. It expires in {minutes} minutes.".to_owned();
    Content::Text { by_locale: BTreeMap::from([("en".to_owned(), text)]) }
}

fn step(channel: &str, content: Content, deliver_within: Option<Duration>) -> Step {
    Step {
        channel: ChannelName::new(channel),
        content,
        deliver_within,
        in_doubt_wait: Duration::from_secs(15),
        on_doubt: OnDoubt::ResendOnce,
    }
}

/// A policy under which nothing expires during the run.
fn policy(profile: &str, steps: Vec<Step>) -> Policy {
    Policy {
        profile: profile.to_owned(),
        brand: "Figures".to_owned(),
        code_length: 6,
        code_ttl: Duration::from_secs(8 * 60 * 60),
        max_checks: 5,
        resend_after_ms: vec![30_000],
        default_locale: "en".to_owned(),
        steps,
    }
}
