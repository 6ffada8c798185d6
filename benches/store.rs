//! The cost of the store alone: provider reports, one order per call, with 1, 32 and 128 concurrent callers. Every
//! report is new for its message: each round reports sent, then delivered, then read, in a different order of messages.
//!
//! `cargo bench --bench store [-- MESSAGES]`

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use twotick::clock::{Clock, Stopwatch};
use twotick::store::sled::{self, SledStore};
use twotick::store::{Answer, Errand, Match, Order, Store};
use twotick::vault::{Person, Vault, id_bits};
use twotick::verification::command::{Jitter, Request};
use twotick::verification::policy::{Content, OnDoubt, Step};
use twotick::verification::values::{
    AppName, ChannelName, MessageId, NumberIndex, Outcome, ProviderRef, Report, ReportStatus, VerificationId,
};
use twotick::verification::{Command, Policy};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MESSAGES: usize = 100_000;
const CALLERS: [usize; 3] = [1, 32, 128];
/// Reports per round with one caller, which waits for the disk each time.
const REPORTS_OF_ONE: usize = 4_000;
/// Creates per call during setup.
const CREATES_A_CALL: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let messages = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(MESSAGES);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(messages))
}

async fn measure(messages: usize) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let vault = Vault::new(&[7; 32]);
    let settings = sled::Settings {
        path: folder.path().join("data"),
        rates: BTreeMap::new(),
        key_id: vault.key_id(),
        limits: sled::Limits::default(),
    };
    let (store, errands) = sled::open(settings, Clock::System)?;
    let made = Stopwatch::start();
    let sent = accepted_messages(&store, errands, &vault, messages).await?;
    println!("{} messages made and accepted in {:.1} s", sent.len(), made.elapsed().as_secs_f64());
    println!("callers  status     reports/s  store µs/report  p50 ms  p99 ms");
    for status in [ReportStatus::Sent, ReportStatus::Delivered, ReportStatus::Read] {
        round(&store, &sent, &status).await?;
    }
    store.close().await?;
    println!("{:.0} MiB resident", resident_mib());
    Ok(())
}

/// A message with its provider's id.
type Sent = (MessageId, ProviderRef);

async fn accepted_messages(
    store: &SledStore,
    mut errands: UnboundedReceiver<Errand>,
    vault: &Vault,
    count: usize,
) -> Result<Arc<Vec<Sent>>, Box<dyn Error>> {
    let policy = Arc::new(policy());
    let numbers: Vec<usize> = (0..count).collect();
    let creating = {
        let (store, orders) =
            (store.clone(), numbers.iter().map(|_| create(vault, &policy)).collect::<Vec<_>>());
        tokio::spawn(async move {
            for some in orders.chunks(CREATES_A_CALL) {
                store.execute(some.to_vec()).await?;
            }
            Ok::<_, twotick::store::StoreError>(())
        })
    };
    let mut sent = Vec::with_capacity(count);
    let mut some = Vec::new();
    while sent.len() < count {
        if errands.recv_many(&mut some, CREATES_A_CALL).await == 0 {
            return Err("the store stopped".into());
        }
        let accepted = some.drain(..).map(|errand| {
            let id = errand.snapshot.verification.id().message(errand.message);
            let provider_ref =
                ProviderRef::parse(&format!("wamid.HBgLMTIwMjU1NTAxMDEVAgARGB{:024}", sent.len()))
                    .expect("visible ASCII, short");
            sent.push((id, provider_ref.clone()));
            Order::Command {
                id: id.verification(),
                app: None,
                command: Command::SendReported {
                    message: errand.message,
                    attempt: errand.attempt,
                    outcome: Outcome::Accepted { provider_ref: Some(provider_ref) },
                    aliases: Vec::new(),
                    jitter: Jitter::thousandths(0),
                },
            }
        });
        store.execute(accepted.collect()).await?;
    }
    creating.await??;
    Ok(Arc::new(sent))
}

fn create(vault: &Vault, policy: &Arc<Policy>) -> Order {
    let number = NumberIndex((u128::from(id_bits()) << 64 | u128::from(id_bits())).to_be_bytes());
    let id = VerificationId::new(Clock::System.now(), number.bucket(), id_bits());
    let person = Person { to: "+4915228817386".to_owned(), metadata: BTreeMap::new() };
    let request = Arc::new(Request {
        id,
        app: AppName::new("shop"),
        policy: policy.hash(),
        number,
        tail: None,
        person: vault.seal_person(id, &person).unwrap(),
        country: Some("DE".to_owned()),
        locale: Some("de".to_owned()),
        client_ref: None,
        code: vault.new_code(id).unwrap(),
    });
    Order::Create { request, policy: Arc::clone(policy), idempotency: None }
}

/// A policy under which nothing falls back or expires during the run.
fn policy() -> Policy {
    Policy {
        profile: "login".to_owned(),
        brand: "Acme".to_owned(),
        code_length: 6,
        code_ttl: Duration::from_secs(600),
        max_checks: 5,
        resend_after_ms: vec![30_000],
        default_locale: "en".to_owned(),
        steps: vec![Step {
            channel: channel(),
            content: Content::Template { name: "login".to_owned(), languages: BTreeMap::new() },
            deliver_within: None,
            in_doubt_wait: Duration::from_secs(15),
            on_doubt: OnDoubt::ResendOnce,
        }],
    }
}

fn channel() -> ChannelName {
    ChannelName::new("whatsapp")
}

async fn round(
    store: &SledStore,
    sent: &Arc<Vec<Sent>>,
    status: &ReportStatus,
) -> Result<(), Box<dyn Error>> {
    let mut order: Vec<usize> = (0..sent.len()).collect();
    order.shuffle(&mut StdRng::seed_from_u64(status.name().len() as u64));
    let (of_one, rest) = order.split_at(REPORTS_OF_ONE.min(order.len() / 3));
    let (of_32, of_128) = rest.split_at(rest.len() / 2);
    for (callers, part) in CALLERS.into_iter().zip([of_one, of_32, of_128]) {
        let reports = part.iter().map(|&index| report(&sent[index], status)).collect();
        let before = store_seconds();
        let watch = Stopwatch::start();
        let waits = report_all(store, Arc::new(reports), callers).await?;
        let (wall, busy) = (watch.elapsed().as_secs_f64(), store_seconds() - before);
        let count = part.len() as f64;
        println!(
            "{callers:>7}  {:<9} {:>10.0} {:>16.1} {:>7.2} {:>7.2}",
            status.name(),
            count / wall,
            busy * 1e6 / count,
            waits.value_at_quantile(0.5) as f64 / 1e3,
            waits.value_at_quantile(0.99) as f64 / 1e3,
        );
    }
    Ok(())
}

fn report((message, provider_ref): &Sent, status: &ReportStatus) -> Order {
    let report = Report {
        status: status.clone(),
        reported_at: Some(Clock::System.now()),
        provider_ref: Some(provider_ref.clone()),
        reference: Some(*message),
        aliases: Vec::new(),
    };
    Order::Report { channel: channel(), report }
}

/// Reports everything. Returns the latencies in microseconds.
async fn report_all(
    store: &SledStore,
    reports: Arc<Vec<Order>>,
    callers: usize,
) -> Result<Histogram<u64>, Box<dyn Error>> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut calling = JoinSet::new();
    for _ in 0..callers {
        let (store, reports, next) = (store.clone(), Arc::clone(&reports), Arc::clone(&next));
        calling.spawn(async move {
            let mut waits = empty();
            while let Some(order) = reports.get(next.fetch_add(1, Ordering::Relaxed)) {
                let watch = Stopwatch::start();
                let answers = store.execute(vec![order.clone()]).await.expect("the store is open");
                assert!(matches!(answers[..], [Answer::Reported(Match::Applied)]), "{answers:?}");
                waits.saturating_record(u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            waits
        });
    }
    let mut all = empty();
    while let Some(waits) = calling.join_next().await {
        all.add(waits?)?;
    }
    Ok(all)
}

fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// The processor time of the store's thread so far, to 10 ms.
fn store_seconds() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let seconds = tasks.filter_map(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        stat.contains("(store)").then_some(ticks / 100.0)
    });
    seconds.sum()
}

/// A histogram in microseconds, up to a minute.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these bounds are allowed")
}
