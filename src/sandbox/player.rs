//! Plays the scenario of each accepted message: one task per message, step by step.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Options;
use super::carrier::{self, Report, Reports, Sms};
use super::graph::{self, Price, TemplateMessage};
use super::handsets::{Channel, HandsetEntry, Handsets, Happening, Number};
use super::journal::Journal;
use super::scenario::{self, ScenarioStep, Status};
use super::webhooks::{self, Signing, Taken, Webhooks};

/// Limit of running scenarios, some kilobytes each. Above it, providers answer with a rate limit error.
const PLAYING: usize = 10_000;
/// SMS notifications that a waiting scenario may lag behind. One that missed its own waits for `late_after`.
const TEXTED: usize = 1_024;
/// Paces that [`ScenarioStep::DeliveredLate`] waits after an SMS: the carrier's two reports come first.
const PACES_AFTER_SMS: u32 = 3;
/// Limit of live pages.
const PAGES: usize = 64;

/// State shared by the handlers.
pub(super) struct Player {
    pub(super) handsets: Handsets,
    pub(super) journal: Journal,
    pub(super) stopping: CancellationToken,
    pub(super) pages: Arc<Semaphore>,
    meta: Webhooks,
    carrier: Webhooks,
    pace: Duration,
    late_after: Duration,
    /// Numbers that an SMS is sent to: WhatsApp's deadline has passed at the sender.
    texted: broadcast::Sender<Number>,
    runtime: Handle,
    playing: TaskTracker,
    room: Arc<Semaphore>,
    seed: String,
    made: AtomicU64,
}

impl Player {
    pub(super) fn new(options: &Options, addr: SocketAddr) -> io::Result<Self> {
        let client = webhooks::client()?;
        Ok(Self {
            handsets: Handsets::new(),
            journal: Journal::default(),
            stopping: CancellationToken::new(),
            pages: Arc::new(Semaphore::new(PAGES)),
            meta: Webhooks::new(
                &client,
                &options.webhook_url,
                Signing::Header("X-Hub-Signature-256"),
                &options.app_secret,
            )?,
            carrier: Webhooks::new(
                &client,
                &options.report_url,
                Signing::Header("X-Signature-256"),
                &options.report_secret,
            )?,
            pace: options.pace,
            late_after: options.late_after,
            texted: broadcast::Sender::new(TEXTED),
            runtime: Handle::current(),
            playing: TaskTracker::new(),
            room: Arc::new(Semaphore::new(PLAYING)),
            seed: format!("{addr} {}", super::now()),
            made: AtomicU64::new(0),
        })
    }

    /// Reserves a running scenario; `None` if the limit is reached.
    pub(super) fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Random bytes for a unique id.
    pub(super) fn fresh_id(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.seed.as_bytes());
        hash.update(self.made.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        hash.finalize().into()
    }

    /// Origin of the server under test, taken from its webhook address.
    pub(super) fn api_origin(&self) -> String {
        self.meta.origin()
    }

    pub(super) fn play_whatsapp(self: &Arc<Self>, message: TemplateMessage, room: OwnedSemaphorePermit) {
        let player = Arc::clone(self);
        self.spawn(async move {
            let mut played = Played::default();
            let mut texted = player.texted.subscribe();
            for step in message.to.scenario().whatsapp {
                player.wait_before(*step, &message.to, &mut texted).await;
                player.whatsapp_step(&message, *step, &mut played).await;
            }
            drop(room);
        });
    }

    pub(super) fn play_sms(self: &Arc<Self>, sms: Sms, room: OwnedSemaphorePermit) {
        let player = Arc::clone(self);
        self.texts(&sms.to);
        self.spawn(async move {
            let end = match sms.to.scenario().sms {
                scenario::Sms::Delivered => Status::Delivered,
                scenario::Sms::Failed => Status::Failed,
            };
            for status in [Status::Sent, end] {
                tokio::time::sleep(player.pace).await;
                player.sms_step(&sms, status).await;
            }
            drop(room);
        });
    }

    pub(super) fn cancel(&self) {
        self.stopping.cancel();
        self.playing.close();
    }

    pub(super) async fn stop(&self) {
        self.cancel();
        self.playing.wait().await;
    }

    /// Receiver of Sinch's reports about a message that named this callback address.
    pub(super) fn sinch_hook(&self, callback: &str) -> Option<Webhooks> {
        self.carrier.for_sinch(callback)
    }

    /// Announces an SMS to this number.
    pub(super) fn texts(&self, to: &Number) {
        // Fails if no scenario waits for one.
        let _ = self.texted.send(to.clone());
    }

    pub(super) fn texted(&self) -> broadcast::Receiver<Number> {
        self.texted.subscribe()
    }

    pub(super) fn spawn(&self, scenario: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        let task = async move {
            stopping.run_until_cancelled(scenario).await;
        };
        self.playing.spawn_on(task, &self.runtime);
    }

    pub(super) async fn wait_before(
        &self,
        step: ScenarioStep,
        to: &Number,
        texted: &mut broadcast::Receiver<Number>,
    ) {
        match step {
            ScenarioStep::DeliveredLate => {
                if tokio::time::timeout(self.late_after, heard_of(to, texted)).await.is_ok() {
                    tokio::time::sleep(self.pace * PACES_AFTER_SMS).await;
                }
            }
            ScenarioStep::Sent
            | ScenarioStep::Delivered
            | ScenarioStep::Read
            | ScenarioStep::Failed
            | ScenarioStep::Disowned => {
                tokio::time::sleep(self.pace).await;
            }
        }
    }

    async fn whatsapp_step(&self, message: &TemplateMessage, step: ScenarioStep, played: &mut Played) {
        let Some(status) = step.status() else {
            self.handsets.note(&message.to, Channel::Whatsapp, Happening::Disowned);
            let body = graph::disowned_webhook(message, &self.fresh_id(), super::now());
            return self.tell_meta(message, graph::escaped(&body)).await;
        };
        if played.reaches_the_phone_by(status) {
            self.handsets.receive(
                &message.to,
                HandsetEntry {
                    channel: Channel::Whatsapp,
                    text: message.text.clone(),
                    code: Some(message.code.clone()),
                    at: super::now(),
                },
            );
        }
        self.handsets.note(&message.to, Channel::Whatsapp, status.into());
        let at = played.at(status, message);
        let body = graph::status_webhook(message, status, at, played.price(status));
        self.tell_meta(message, graph::escaped(&body)).await;
    }

    async fn sms_step(&self, sms: &Sms, status: Status) {
        let at = super::now();
        if status == Status::Delivered {
            let (text, code) = (sms.text.clone(), carrier::code_in(&sms.text));
            self.handsets.receive(&sms.to, HandsetEntry { channel: Channel::Sms, text, code, at });
        }
        let error = (status == Status::Failed).then_some(carrier::UNREACHABLE);
        self.handsets.note(&sms.to, Channel::Sms, status.into());
        let taken = match &sms.reports {
            Reports::OfCarrier(reference) => {
                let report = Report { id: &sms.id, reference: reference.as_deref(), status, error, at };
                match serde_json::to_string(&report) {
                    Ok(body) => self.carrier.post(body).await,
                    Err(error) => {
                        return tracing::error!(%error, "sandbox: cannot serialize a carrier's report");
                    }
                }
            }
            Reports::OfTwilio(Some(callback)) => {
                self.carrier.make(callback.call(self.carrier.url(), &sms.id, status)).await
            }
            Reports::OfTwilio(None) => Taken::Yes,
        };
        if taken == Taken::No {
            self.handsets.note(&sms.to, Channel::Sms, Happening::ReportNotTaken);
        }
    }

    async fn tell_meta(&self, message: &TemplateMessage, body: String) {
        if self.meta.post(body).await == Taken::No {
            self.handsets.note(&message.to, Channel::Whatsapp, Happening::ReportNotTaken);
        }
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("handsets", &self.handsets).finish_non_exhaustive()
    }
}

/// Completes when an SMS is sent to `number`.
async fn heard_of(number: &Number, texted: &mut broadcast::Receiver<Number>) {
    loop {
        match texted.recv().await {
            Ok(to) if to == *number => return,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // The sandbox is stopping, and drops this task too.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Statuses already reported of a message, so that a duplicate is identical.
#[derive(Debug, Default)]
struct Played {
    /// The first of `delivered` and `read`: it carries the price, and shows that the message is on the phone.
    arrived: Option<Status>,
    delivered_at: Option<Timestamp>,
}

impl Played {
    /// True only once, for the first status that implies delivery.
    fn reaches_the_phone_by(&mut self, status: Status) -> bool {
        let first = self.arrived.is_none() && matches!(status, Status::Delivered | Status::Read);
        if first {
            self.arrived = Some(status);
        }
        first
    }

    fn at(&mut self, status: Status, message: &TemplateMessage) -> Timestamp {
        match status {
            Status::Sent => message.accepted_at,
            Status::Delivered => *self.delivered_at.get_or_insert_with(super::now),
            Status::Read | Status::Failed => super::now(),
        }
    }

    /// Meta, status webhook reference, April 2026: on `sent` and on one of `delivered` and `read`.
    fn price(&self, status: Status) -> Option<Price> {
        (status == Status::Sent || self.arrived == Some(status)).then_some(Price)
    }
}
