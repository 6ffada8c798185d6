//! The HTTP layer: the public listener (API and provider webhooks) and the admin listener (metrics, API docs).
//!
//! A handler reads the store or submits orders to it, and answers once they are durable. It never calls a provider.

mod admin;
mod api;
mod auth;
mod capacity;
mod conditional;
mod docs;
mod error;
mod input;
mod meters;
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
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App as ActixApp, HttpServer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use utoipa_actix_web::OpenApiFactory;
use utoipa_actix_web::service_config::ServiceConfig as DescribedConfig;

use crate::access::{App, CustomCode};
use crate::changing::Changing;
use crate::channel::Channel;
use crate::clock::Clock;
use crate::health::Monitor;
use crate::lifecycle::Lifecycle;
use crate::store::Store;
use crate::vault::Vault;
use crate::verification::Policy;
use capacity::Capacity;
use meters::{ChannelMeters, Listener};

pub use admin::Hosts;
pub use docs::document;

/// All routes of the public listener. A route is registered together with its description, so the OpenAPI document is
/// complete. Webhooks come first, because they are the most frequent.
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

/// Registers routes in a worker, or with their descriptions in the OpenAPI document. The document takes megabytes to
/// build, so the workers share one.
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

/// Dependencies of the handlers, filled by the composition root.
pub struct Services {
    pub store: Arc<dyn Store>,
    pub vault: Arc<Vault>,
    pub clock: Clock,
    pub apps: Vec<App>,
    /// By profile name.
    pub profiles: Changing<BTreeMap<String, Profile>>,
    /// By channel name. The names never change.
    pub channels: Changing<BTreeMap<String, Arc<Channel>>>,
    pub lifecycle: watch::Receiver<Lifecycle>,
    pub limits: Limits,
    /// Rendered at `/metrics`. Its creator also runs its upkeep.
    pub metrics: PrometheusHandle,
    /// Evaluates the alarms that `/alerts` lists first.
    pub monitor: Arc<Monitor>,
}

/// Limits of the public listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Open long polls and streams of one app.
    pub waiting_per_app: usize,
}

pub struct Profile {
    pub policy: Arc<Policy>,
    pub custom_code: CustomCode,
}

/// [`Services`] and the state that all workers of both listeners share.
pub struct Shared {
    services: Services,
    keys: Changing<auth::KeyRing>,
    public: web::Data<Listener>,
    admin: web::Data<Listener>,
    /// By channel name.
    webhooks: meters::Channels,
    waiting: capacity::Waiting,
    /// Idempotency keys whose first request is not answered yet.
    creating: Mutex<HashSet<[u8; 16]>>,
}

pub fn share(services: Services) -> web::Data<Shared> {
    metrics::describe();
    let keys = Changing::new(auth::KeyRing::new(&services.vault, &services.apps));
    let of_channel =
        |(name, channel): (&String, &Arc<Channel>)| (name.clone(), ChannelMeters::new(channel.name()));
    let webhooks = services.channels.now().iter().map(of_channel).collect();
    let Limits { connections, waiting_per_app } = services.limits;
    let [public, admin] = [(&*routes::PUBLIC, connections), (&*routes::ADMIN, ADMIN_CONNECTIONS)]
        .map(|(routes, connections)| web::Data::new(Listener::new(routes, connections)));
    let waiting = capacity::Waiting::new(connections, waiting_per_app);
    web::Data::new(Shared { services, keys, public, admin, webhooks, waiting, creating: Mutex::default() })
}

/// Registers the routes of the public listener; [`serve_public`] adds the middleware.
pub fn public(config: &mut ServiceConfig, shared: &web::Data<Shared>) {
    config.app_data(shared.clone()).app_data(shared.public.clone());
    config.default_service(web::to(routes::unrouted));
    public_routes(config);
    config.service(webhooks::secret_addresses());
}

/// Registers the routes of the admin listener; [`serve_admin`] adds the middleware.
pub fn admin(config: &mut ServiceConfig, shared: &web::Data<Shared>) {
    config.app_data(shared.clone()).app_data(shared.admin.clone());
    config.default_service(web::to(routes::unrouted));
    admin_routes(config);
}

/// Time for the head of a request; the body has as long again ([`input::BODY_TIMEOUT`]).
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle time between two requests of a connection; longer than the longest long poll (60 s).
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Time for a client whose request was refused before its body ended to read the answer. The web server's clock ticks
/// twice a second, and it drops a connection whose time is over before it starts to wait: so this must exceed any pause
/// of a worker.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for open requests during a stop; the whole stop has 10 s.
const SHUTDOWN_SECONDS: u64 = 5;
/// The admin listener has few clients.
const ADMIN_WORKERS: usize = 1;
/// A connection costs some 10 KiB, so a flood of them stays below 50 MiB.
const ADMIN_CONNECTIONS: usize = 4_096;

/// Serves the public listener with `workers` threads until the server handle stops it.
pub fn serve_public(
    listener: TcpListener,
    shared: &web::Data<Shared>,
    workers: usize,
) -> std::io::Result<Server> {
    let (capacity, shared) = (Arc::clone(&shared.public.capacity), shared.clone());
    let a_worker = shared.limits.connections.div_ceil(workers);
    serve(listener, workers, a_worker, capacity, Side::Public, move |config| public(config, &shared))
}

/// Serves the admin listener until the server handle stops it. `pages` registers further routes: the console.
pub fn serve_admin(
    listener: TcpListener,
    shared: &web::Data<Shared>,
    hosts: Hosts,
    pages: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let (capacity, shared) = (Arc::clone(&shared.admin.capacity), shared.clone());
    let hosts = web::Data::new(hosts);
    serve(listener, ADMIN_WORKERS, ADMIN_CONNECTIONS, capacity, Side::Admin, move |config| {
        config.app_data(hosts.clone());
        pages(config);
        admin(config, &shared);
    })
}

/// One of the two listeners.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Public,
    Admin,
}

fn serve(
    listener: TcpListener,
    workers: usize,
    connections_a_worker: usize,
    capacity: Arc<Capacity>,
    side: Side,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let app = move || {
        ActixApp::new()
            .wrap(Condition::new(side == Side::Admin, from_fn(admin::guard)))
            .wrap(from_fn(observe::observe))
            .wrap(from_fn(unread::hang_up))
            .configure(&configure)
    };
    let server = HttpServer::new(app);
    let server = if side == Side::Admin { server.on_connect(admin::connected) } else { server };
    let server = server
        .workers(workers)
        .max_connections(connections_a_worker)
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .on_connect(move |_socket, connection| drop(connection.insert(capacity.enter())))
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(server)
}

impl Shared {
    /// Replaces apps and API keys, from the next request on.
    pub fn admit(&self, apps: &[App]) {
        self.keys.change_to(auth::KeyRing::new(&self.vault, apps));
    }
}

impl std::ops::Deref for Shared {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}
