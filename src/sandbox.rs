//! Stand-ins for all external systems: Meta's Graph API, Twilio, Sinch, an SMS carrier with an HTTP interface, and the
//! phones. Nothing leaves this machine except webhooks to the configured addresses.
//!
//! ```text
//! POST /{version}/{phone_number_id}/messages ─► graph    ┐            ┌─► handsets   what a person would see
//! POST /sms/send                             ─► carrier  ┼─► player ──┤
//! POST /2010-04-01/Accounts/…/Messages.json  ─► twilio   ┤            │
//! POST /v1/projects/{project}/messages:send  ─► sinch    ┤            │
//!                                               journal  ┘            └─► webhooks   what the provider reports
//! ```
//!
//! The last two digits of a number select its [`scenario`].

mod carrier;
mod graph;
mod handsets;
mod journal;
mod page;
mod player;
pub mod scenario;
mod sinch;
mod twilio;
mod webhooks;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::error::ErrorRequestTimeout;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpServer, web};
use secrecy::SecretString;
use tokio::task::JoinHandle;

use crate::clock::Clock;
pub use handsets::{Channel, HandsetEntry};
pub use journal::{Outcome, Request};
use player::Player;
pub use sinch::WEBHOOK_SECRET as SINCH_WEBHOOK_SECRET;

/// Default of [`Options::pace`].
pub const DEFAULT_PACE: Duration = Duration::from_millis(300);
/// Default of [`Options::late_after`]: more than the 30 s that most profiles wait for WhatsApp.
pub const DEFAULT_LATE_AFTER: Duration = Duration::from_secs(35);

/// A request contains a code and a number; anything larger is not for the sandbox.
const BODY_LIMIT: usize = 64 * 1024;
/// Time for a body to arrive.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// Time for open requests during a stop, in seconds.
const SHUTDOWN_SECONDS: u64 = 2;

/// Addresses, secrets and timing.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port 0 picks a free one, see [`Sandbox::addr`].
    pub listen: SocketAddr,
    /// Receives Meta's webhooks, such as `http://127.0.0.1:8080/webhooks/whatsapp`.
    pub webhook_url: String,
    /// Signs Meta's webhooks (`X-Hub-Signature-256`).
    pub app_secret: SecretString,
    /// Receives the carrier's delivery reports, such as `http://127.0.0.1:8080/webhooks/sms`.
    pub report_url: String,
    /// Signs the delivery reports (`X-Signature-256`).
    pub report_secret: SecretString,
    /// Interval between two reports of a message; default [`DEFAULT_PACE`].
    pub pace: Duration,
    /// When scenario 06 delivers: soon after an SMS to the same number, at the latest this long after `sent`; default
    /// [`DEFAULT_LATE_AFTER`].
    pub late_after: Duration,
}

/// A running sandbox. Dropping it stops it at once; [`Sandbox::stop`] waits for the end.
#[derive(Debug)]
pub struct Sandbox {
    addr: SocketAddr,
    player: Arc<Player>,
    handle: ServerHandle,
    server: JoinHandle<io::Result<()>>,
}

/// Starts the sandbox.
///
/// # Errors
///
/// If the address cannot be bound, or a URL is not an http or https URL.
pub async fn start(options: Options) -> io::Result<Sandbox> {
    let listener = TcpListener::bind(options.listen)?;
    let addr = listener.local_addr()?;
    let player = Arc::new(Player::new(&options, addr)?);
    let shared = web::Data::from(Arc::clone(&player));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .wrap(from_fn(guard))
            .configure(routes)
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .listen(listener)?
    .run();
    let handle = server.handle();
    tracing::info!(%addr, "sandbox: stand-in for Meta, the SMS carrier and the phones; no message leaves this machine");
    Ok(Sandbox { addr, player, handle, server: tokio::spawn(server) })
}

impl Sandbox {
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Base URL without a trailing slash: `http://127.0.0.1:8082`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Messages on this phone, oldest first; empty for an unknown number.
    pub fn handset(&self, number: &str) -> Vec<HandsetEntry> {
        self.player.handsets.entries(number)
    }

    /// The last 10,000 provider requests, oldest first.
    pub fn journal(&self) -> Vec<Request> {
        self.player.journal.requests()
    }

    /// Stops running scenarios, live pages and the server.
    pub async fn stop(mut self) {
        self.player.stop().await;
        self.handle.stop(true).await;
        if let Err(error) = (&mut self.server).await {
            tracing::warn!(%error, "sandbox: the server did not stop cleanly");
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.player.cancel();
        // The call itself sends the command; only its completion is not awaited.
        drop(self.handle.stop(false));
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/{version:v[0-9]+\\.[0-9]+}/{phone_number_id}/messages", web::post().to(graph::send))
        .route("/{version:v[0-9]+\\.[0-9]+}/{account_id}/message_templates", web::get().to(graph::templates))
        .route("/sms/send", web::post().to(carrier::send))
        .route("/2010-04-01/Accounts/{sid}/Messages.json", web::post().to(twilio::send))
        .route("/oauth2/token", web::post().to(sinch::token))
        .route("/v1/projects/{project_id}/messages:send", web::post().to(sinch::send))
        .route("/xms/v1/{service_plan_id}/batches", web::post().to(sinch::batch))
        .route("/handsets", web::get().to(page::handsets))
        .route("/handsets", web::delete().to(page::clear))
        .route("/handsets/{number}", web::get().to(page::handset))
        .route("/handsets/{number}/activity", web::get().to(page::activity))
        .route("/journal", web::get().to(page::journal))
        .route("/about", web::get().to(page::about))
        .route("/events", web::get().to(page::events))
        .route("/", web::get().to(page::index))
        .route("/assets/handset.css", web::get().to(page::style))
        .route("/assets/handset.js", web::get().to(page::script))
        .default_service(web::to(graph::unknown_path));
}

/// Limits the time of requests and sets headers for pages that show codes.
async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let answer = tokio::time::timeout(REQUEST_TIME, next.call(request)).await;
    let mut response =
        answer.map_err(|_| ErrorRequestTimeout("the request did not arrive within 10 s\n"))??;
    for (name, value) in PAGE_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

const PAGE_HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// System time: the sandbox plays external systems, whose clocks tests do not control.
fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(Clock::System.now().as_millis()).unwrap_or_default()
}

/// RFC 3339 in UTC with milliseconds.
fn rfc3339<S: serde::Serializer>(at: &jiff::Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}
