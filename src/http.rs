//! The HTTP side: the public listener (API for apps, webhooks of providers) and the admin listener (metrics, docs).
//! A handler reads the store or hands it orders, and answers when they are durable. It never calls a provider.

mod admin;
mod api;
mod auth;
mod conditional;
mod crowd;
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
use crowd::Crowd;
use meters::{ChannelMeters, Listener};

pub use admin::Hosts;
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
    pub profiles: Changing<BTreeMap<String, Profile>>,
    /// By the channel's name. Their names never change.
    pub channels: Changing<BTreeMap<String, Arc<Channel>>>,
    pub lifecycle: watch::Receiver<Lifecycle>,
    pub limits: Limits,
    /// Rendered at `/metrics`. Whoever made it also runs its upkeep.
    pub metrics: PrometheusHandle,
    /// How twotick itself is; its alarms stand in `/alerts`.
    pub monitor: Arc<Monitor>,
}

/// How many may use the public listener at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections beyond these wait until one of them ends.
    pub connections: usize,
    /// Long polls and streams of one app.
    pub waiting_per_app: usize,
}

pub struct Profile {
    pub policy: Arc<Policy>,
    pub custom_code: CustomCode,
}

/// [`Services`] with what the handlers of all workers share besides. One for both listeners.
pub struct Shared {
    services: Services,
    keys: Changing<auth::KeyRing>,
    public: web::Data<Listener>,
    admin: web::Data<Listener>,
    /// By the channel's name.
    webhooks: meters::Channels,
    waiting: crowd::Waiting,
    /// Idempotency keys whose first request is under way.
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
    let waiting = crowd::Waiting::new(connections, waiting_per_app);
    web::Data::new(Shared { services, keys, public, admin, webhooks, waiting, creating: Mutex::default() })
}

/// Registers the public listener's routes; [`serve_public`] adds what surrounds them.
pub fn public(config: &mut ServiceConfig, shared: &web::Data<Shared>) {
    config.app_data(shared.clone()).app_data(shared.public.clone());
    config.default_service(web::to(routes::unrouted));
    public_routes(config);
    config.service(webhooks::behind_a_secret());
}

/// Registers the admin listener's routes; [`serve_admin`] adds what surrounds them.
pub fn admin(config: &mut ServiceConfig, shared: &web::Data<Shared>) {
    config.app_data(shared.clone()).app_data(shared.admin.clone());
    config.default_service(web::to(routes::unrouted));
    admin_routes(config);
}

/// To read the head of a request; a body has as long again ([`input::BODY_TIMEOUT`]).
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two requests of one connection; longer than the 60 s that a long poll may take.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// For whoever was refused before its body ended to hear of it, before the connection is closed. The web server reckons by
/// a clock that it reads twice a second, and forgets a connection whose time was over before it began to wait: so this is
/// longer than any pause of a worker should be.
const LAST_WORD_TIMEOUT: Duration = Duration::from_secs(3);
/// What a stopping server waits for open requests; the whole stop has 10 s.
const SHUTDOWN_SECONDS: u64 = 5;
/// The admin listener has a handful of callers.
const ADMIN_WORKERS: usize = 1;
/// Each costs some 10 KiB, so that a flood of them stays below 50 MiB.
const ADMIN_CONNECTIONS: usize = 4_096;

/// Serves the public listener with so many `workers` until it is stopped through the server's handle.
pub fn serve_public(
    listener: TcpListener,
    shared: &web::Data<Shared>,
    workers: usize,
) -> std::io::Result<Server> {
    let (crowd, shared) = (Arc::clone(&shared.public.crowd), shared.clone());
    let a_worker = shared.limits.connections.div_ceil(workers);
    serve(listener, workers, a_worker, crowd, Side::Public, move |config| public(config, &shared))
}

/// Serves the admin listener until it is stopped through the server's handle. `pages` registers what stands beside
/// the routes described here: the console.
pub fn serve_admin(
    listener: TcpListener,
    shared: &web::Data<Shared>,
    hosts: Hosts,
    pages: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<Server> {
    let (crowd, shared) = (Arc::clone(&shared.admin.crowd), shared.clone());
    let hosts = web::Data::new(hosts);
    serve(listener, ADMIN_WORKERS, ADMIN_CONNECTIONS, crowd, Side::Admin, move |config| {
        config.app_data(hosts.clone());
        pages(config);
        admin(config, &shared);
    })
}

/// Which of the two listeners.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Public,
    Admin,
}

fn serve(
    listener: TcpListener,
    workers: usize,
    connections_a_worker: usize,
    crowd: Arc<Crowd>,
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
        .on_connect(move |_socket, connection| drop(connection.insert(crowd.enter())))
        .client_disconnect_timeout(LAST_WORD_TIMEOUT)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .listen(listener)?
        .run();
    Ok(server)
}

impl Shared {
    /// From the next request on only these apps are let in, with these keys.
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
