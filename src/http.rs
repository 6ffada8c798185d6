//! The HTTP side: the public listener (API for apps, webhooks of providers) and the admin listener (metrics, docs).
//! A handler reads the store or hands it orders, and answers when they are durable. It never calls a provider.

mod api;
mod auth;
mod docs;
mod error;
mod input;
pub mod metrics;
mod observe;
mod operations;
mod routes;
mod stream;
mod timeline;
mod unread;
mod view;
mod webhooks;

use std::collections::{BTreeMap, HashSet};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::{HttpServiceFactory, Server};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App as ActixApp, HttpServer};
use metrics_exporter_prometheus::PrometheusHandle;
use rustix::process::{Resource, getrlimit};
use secrecy::SecretString;
use tokio::sync::watch;
use utoipa_actix_web::OpenApiFactory;
use utoipa_actix_web::service_config::ServiceConfig as DescribedConfig;

use crate::channel::Channel;
use crate::clock::Clock;
use crate::store::Store;
use crate::vault::Vault;
use crate::verification::Policy;
use crate::verification::values::AppName;

pub use docs::document;

/// All routes of the public listener. A route is registered together with its description, so the OpenAPI document
/// has exactly these; webhooks come first, because they are the most.
fn public_routes<R: Routing>(routing: &mut R) {
    routing
        .add(webhooks::receive)
        .add(webhooks::challenge)
        .add(api::create)
        .add(api::list)
        .add(api::read)
        .add(stream::events)
        .add(api::check)
        .add(api::resend)
        .add(api::next)
        .add(api::cancel)
        .add(timeline::read)
        .add(api::inbound)
        .add(operations::alive)
        .add(operations::ready)
        .add(docs::openapi)
        .add(error::explanation);
}

/// All routes of the admin listener.
fn admin_routes<R: Routing>(routing: &mut R) {
    routing
        .add(operations::metrics)
        .add(operations::alerts)
        .add(docs::openapi)
        .add(docs::page)
        .add(docs::index)
        .add(docs::file);
}

/// Where routes go: into a worker, or with their descriptions into the OpenAPI document. The document takes some
/// megabytes to make, so not every worker makes it.
trait Routing {
    fn add<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, handler: F) -> &mut Self;
}

impl Routing for ServiceConfig {
    fn add<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, handler: F) -> &mut Self {
        self.service(handler)
    }
}

impl Routing for DescribedConfig<'_> {
    fn add<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, handler: F) -> &mut Self {
        self.service(handler)
    }
}

/// What the handlers work with. The composition root fills it.
pub struct Services {
    pub store: Arc<dyn Store>,
    pub vault: Arc<Vault>,
    pub clock: Clock,
    pub apps: Vec<App>,
    /// By the profile's name.
    pub profiles: BTreeMap<String, Profile>,
    /// By the channel's name.
    pub channels: BTreeMap<String, Arc<Channel>>,
    pub lifecycle: watch::Receiver<Lifecycle>,
    /// Rendered at `/metrics`. Whoever made it also runs its upkeep.
    pub metrics: PrometheusHandle,
}

/// Who may call the API.
pub struct App {
    pub name: AppName,
    /// Any of them is good, so that one can be rotated.
    pub keys: Vec<SecretString>,
}

pub struct Profile {
    pub policy: Arc<Policy>,
    pub custom_code: CustomCode,
}

/// Whether an app may bring its own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CustomCode {
    Allowed,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    Serving,
    /// Stopping: not ready for more; who waits or streams is sent away, everything else is finished.
    Draining,
}

/// [`Services`] with what the handlers of all workers share besides. One for both listeners.
pub struct Shared {
    services: Services,
    keys: auth::KeyRing,
    /// Idempotency keys whose first request is under way.
    creating: Mutex<HashSet<[u8; 16]>>,
}

pub fn share(services: Services) -> web::Data<Shared> {
    metrics::describe();
    let keys = auth::KeyRing::new(&services.vault, &services.apps);
    web::Data::new(Shared { services, keys, creating: Mutex::default() })
}

/// Registers the public listener's routes; [`serve_public`] adds what surrounds them.
pub fn public(config: &mut ServiceConfig, shared: &web::Data<Shared>) {
    config.app_data(shared.clone()).app_data(&*routes::PUBLIC);
    config.default_service(web::to(routes::unrouted));
    public_routes(config);
}

/// Registers the admin listener's routes; [`serve_admin`] adds what surrounds them.
pub fn admin(config: &mut ServiceConfig, shared: &web::Data<Shared>) {
    config.app_data(shared.clone()).app_data(&*routes::ADMIN);
    config.default_service(web::to(routes::unrouted));
    admin_routes(config);
}

/// To read the head of a request; a body has as long again ([`input::BODY_TIMEOUT`]).
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two requests of one connection; longer than the 60 s that a long poll may take.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections of one worker, where the process may have so many files open. An idle one costs some 8 KiB and is gone
/// after 10 s, and while they are all taken nobody else gets in: so there must be more than somebody opens for fun.
const MAX_CONNECTIONS: usize = 16_384;
/// Of the files that the process may have open, what is left for the store and for requests to providers, of which each
/// channel has up to 400.
const OTHER_FILES: u64 = 1_024;
/// However few files are allowed.
const FEWEST_CONNECTIONS: usize = 64;
/// What a stopping server waits for open requests; the whole stop has 10 s.
const SHUTDOWN_SECONDS: u64 = 5;
/// The admin listener has a handful of callers.
const ADMIN_WORKERS: usize = 1;

/// Serves the public listener with so many `workers` until it is stopped through the server's handle.
pub fn serve_public(
    listener: TcpListener,
    shared: &web::Data<Shared>,
    workers: usize,
) -> std::io::Result<Server> {
    let shared = shared.clone();
    serve(listener, workers, move |config| public(config, &shared))
}

/// Serves the admin listener until it is stopped through the server's handle. `pages` registers what stands beside
/// the routes described here: the console.
pub fn serve_admin(
    listener: TcpListener,
    shared: &web::Data<Shared>,
    pages: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let shared = shared.clone();
    serve(listener, ADMIN_WORKERS, move |config| {
        pages(config);
        admin(config, &shared);
    })
}

fn serve(
    listener: TcpListener,
    workers: usize,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let app = move || {
        ActixApp::new().wrap(from_fn(observe::observe)).wrap(from_fn(unread::hang_up)).configure(&configure)
    };
    let server = HttpServer::new(app)
        .workers(workers)
        .max_connections(connections(workers))
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(server)
}

/// For each of so many workers; those of the other listener have their share too.
fn connections(workers: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES);
    let share = usize::try_from(files).unwrap_or(usize::MAX) / (workers + ADMIN_WORKERS);
    share.clamp(FEWEST_CONNECTIONS, MAX_CONNECTIONS)
}

impl std::ops::Deref for Shared {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}
