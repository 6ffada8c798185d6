//! The composition root: builds and starts all parts, for `serve`, `demo` and every test.
//!
//! A stop loses nothing. In this order, within [`STOP_LIMIT`]: readiness fails, the store starts no more sends, the
//! listeners accept no new requests, long polls and streams end, requests and sends under way finish and record their
//! outcomes, the store closes.

mod custody;
pub mod demo;
mod descriptors;
mod doctor;
mod erase;
mod folder;
mod lost;
mod master_key;
pub mod metrics;
mod offline;
mod operator;
mod operator_client;
mod reload;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use jiff::tz::TimeZone;
use metrics_exporter_prometheus::BuildError;
use sd_notify::NotifyState;
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_cron_scheduler::JobSchedulerError;

use crate::changing::Changing;
use crate::channel::webhook::Callback;
use crate::channel::{self, Basis, Channel, ChannelError};
use crate::clock::{Clock, Stopwatch};
use crate::config::{self, Config, Loaded};
use crate::console;
use crate::courier::{Channels, Courier};
use crate::health::Monitor;
use crate::http::{self, Hosts, Services};
use crate::lifecycle::{Lifecycle, draining};
use crate::store::sled::{self, OpenError, SledStore};
use crate::store::{self, Errand, Store, StoreError};
use crate::sweeps::{self, Keep, NeededTemplate, Sweeps};
use crate::vault::{KeyFiles, KeysError, Vault};
use crate::verification::Verification;
use crate::verification::values::{AppName, ChannelName};
use reload::Changeable;

pub use crate::sandbox;
pub use custody::{KeyLoss, LostKeys};
pub use doctor::{Finding, Health, examine};
pub use erase::{Erased, Unreadable, erase};
pub use folder::{FolderError, become_owner};
pub use master_key::KeyError;
pub use offline::{OfflineError, dump, erase_person, import, reindex, verify, verify_audit};
pub use reload::{Reloaded, Reloader};

/// Upper bound of a whole stop. systemd and container runtimes kill after 10 s by default.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Upper bound for open requests. None waits for a provider, so only slow readers are cut off.
const REQUESTS_LIMIT: Duration = Duration::from_secs(3);
/// Upper bound for sends under way, before the requests. A slower provider leaves its send in doubt.
const SENDS_LIMIT: Duration = Duration::from_secs(6);
/// Upper bound for the sweeps; each is short.
const SWEEPS_LIMIT: Duration = Duration::from_secs(1);
/// Kernel buffer for unread answers. Autotuning would grow it to megabytes per connection.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;
/// How long a peer may leave sent data unacknowledged before the kernel resets the connection. The web server has no
/// such limit, so a client that does not read could hold its connection and buffers forever. Equal to the limits for
/// reading a head or a body.
#[cfg(target_os = "linux")]
const TCP_USER_TIMEOUT_MS: u32 = 10_000;
/// Connections waiting to be accepted.
const BACKLOG: u32 = 1024;
/// Subfolder of the data folder with the day and minute keys.
const KEYS: &str = "keys";

/// The sockets of both listeners. They are bound first, so that a port in use is reported before anything else happens.
pub struct Listeners {
    public: TcpListener,
    admin: TcpListener,
}

impl Listeners {
    /// Binds both; port 0 picks a free one. Needs a runtime.
    pub fn bind(server: &config::Server) -> Result<Self, StartError> {
        let bind = |key, addr| listen(addr).map_err(|source| StartError::Listen { key, addr, source });
        Ok(Self {
            public: bind("server.listen", server.listen)?,
            admin: bind("server.admin_listen", server.admin_listen)?,
        })
    }

    /// URL of the API, such as `http://127.0.0.1:8080`, with the port that was bound.
    fn public_url(&self) -> io::Result<String> {
        Ok(format!("http://{}", self.public.local_addr()?))
    }

    fn admin_url(&self) -> io::Result<String> {
        Ok(format!("http://{}", self.admin.local_addr()?))
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit these options.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(&socket, TCP_USER_TIMEOUT_MS)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Why the server did not start. Never quotes a secret.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}", listen_trouble(key, *addr, source))]
    Listen { key: &'static str, addr: SocketAddr, source: io::Error },
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    LostKeys(LostKeys),
    #[error("cannot record the loss of keys: {0}")]
    KeyLossNotNoted(io::Error),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("cannot set up the metrics: {0}")]
    Metrics(#[from] BuildError),
    #[error("cannot set up the sweeps: {0}")]
    Sweeps(#[from] JobSchedulerError),
    #[error("cannot set up the HTTP server: {0}")]
    Http(io::Error),
    #[error("cannot write the file `{}`, by which commands reach a running server: {source}", path.display())]
    OperatorFile { path: PathBuf, source: io::Error },
    #[error("panic during the start: {0}")]
    Panicked(tokio::task::JoinError),
}

fn listen_trouble(key: &str, addr: SocketAddr, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "{key}: port {} is taken on {}; stop the program that uses it or set another port",
                addr.port(),
                addr.ip()
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("{key}: not allowed to listen on {addr}; ports below 1024 require privileges")
        }
        _ => format!("{key}: cannot listen on {addr}: {source}"),
    }
}

/// A running server.
pub struct App {
    addr: SocketAddr,
    admin_addr: SocketAddr,
    store: Arc<dyn Store>,
    lifecycle: watch::Sender<Lifecycle>,
    servers: JoinSet<io::Result<()>>,
    handles: [ServerHandle; 2],
    courier: Courier,
    sending: JoinHandle<()>,
    sweeps: sweeps::Running,
    /// Tells commands on this machine how to reach the server.
    endpoint_file: operator::EndpointFile,
    changeable: Changeable,
}

/// Opens the store, starts all parts and serves requests. Needs a multi-threaded runtime.
pub async fn build(
    config: &Config,
    clock: Clock,
    listeners: Listeners,
    key_loss: KeyLoss,
) -> Result<App, StartError> {
    let watch = Stopwatch::start();
    let metrics = metrics::recorder()?;
    let channels = Arc::new(Changing::new(channels(config)?));
    let (vault, store, errands) = open(config, clock.clone(), key_loss).await?;
    let (vault, rows) = (Arc::new(vault), store.clone());
    let store: Arc<dyn Store> = Arc::new(store);
    warn_of_stand_ins(config);

    let courier = Courier::new(Arc::clone(&store), Arc::clone(&channels), Arc::clone(&vault), clock.clone());
    let sending = tokio::spawn(courier.clone().run(errands));
    let sweeps = sweeps::start(Arc::new(Sweeps::new(
        Arc::clone(&store),
        Arc::clone(&vault),
        Arc::clone(&channels),
        clock.clone(),
        Keep { retention: config.retention, alarm_bytes: config.store.alarm_bytes },
        needed_templates(config),
        metrics.clone(),
    )))
    .await?;

    let counting =
        lost::report(Arc::clone(&store), Arc::clone(&vault), clock.now(), config.retention.personal);
    tokio::spawn(counting);

    let (lifecycle, serving) = watch::channel(Lifecycle::Serving);
    let names: Vec<_> = channels.now().keys().cloned().collect();
    let monitor = Arc::new(Monitor::new(metrics.clone(), Arc::clone(&store), clock.clone(), names));
    let (sampling, mut stop) = (Arc::clone(&monitor), serving.clone());
    tokio::spawn(async move { sampling.run(draining(&mut stop)).await });
    let console = console::share(console_services(config, &store, &vault, &clock, &serving, &monitor));
    let pages_console = console.clone();
    let shared = http::share(Services {
        store: Arc::clone(&store),
        vault: Arc::clone(&vault),
        clock: clock.clone(),
        apps: config.apps.clone(),
        profiles: Changing::new(profiles(config)),
        channels: Changing::new(by_text(&channels.now())),
        lifecycle: serving,
        limits: http::Limits {
            connections: descriptors::allow(config.server.max_connections as usize),
            waiting_per_app: config.server.max_waiting_per_app as usize,
        },
        metrics,
        monitor,
    });
    let addr = listeners.public.local_addr().map_err(StartError::Http)?;
    let admin_addr = listeners.admin.local_addr().map_err(StartError::Http)?;
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let public = http::serve_public(listeners.public, &shared, workers).map_err(StartError::Http)?;
    let (operator_api, endpoint_file) = operator::open(&config.store.path, admin_addr, rows, vault, clock)?;
    let pages = move |pages: &mut ServiceConfig| {
        pages.route("/", web::get().to(to_console));
        operator::configure(pages, &operator_api);
        console::configure(pages, &pages_console);
    };
    let admin =
        http::serve_admin(listeners.admin, &shared, hosts(config), pages).map_err(StartError::Http)?;
    let handles = [public.handle(), admin.handle()];
    let mut servers = JoinSet::new();
    servers.spawn(public);
    servers.spawn(admin);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %addr,
        %admin_addr,
        data = %config.store.path.display(),
        channels = config.channels.len(),
        profiles = config.profiles.len(),
        took_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX),
        "twotick started"
    );
    let changeable = Changeable { http: shared, console, channels };
    Ok(App {
        addr,
        admin_addr,
        store,
        lifecycle,
        servers,
        handles,
        courier,
        sending,
        sweeps,
        endpoint_file,
        changeable,
    })
}

/// The key rings in a data folder.
fn key_files(data: &Path) -> Arc<KeyFiles> {
    Arc::new(KeyFiles::in_folder(&data.join(KEYS)))
}

/// Opens the vault and the store.
async fn open(
    config: &Config,
    clock: Clock,
    key_loss: KeyLoss,
) -> Result<(Vault, SledStore, mpsc::UnboundedReceiver<Errand>), StartError> {
    let (config, rates) = (config.clone(), rates(config));
    let apps: BTreeSet<_> = config.apps.iter().map(|app| app.name.clone()).collect();
    let opening = tokio::task::spawn_blocking(move || {
        folder::prepare(&config)?;
        let (master, path) = (config.keys.master.clone(), folder::data_path(&config).to_owned());
        let vault = Vault::with_keys(&*master_key::load(&master, &path)?, key_files(&path))?;
        let limits = match crate::failpoint::log_is_short() {
            true => sled::Limits::short_log(),
            false => sled::Limits::default(),
        };
        let settings = sled::Settings { path, rates, key_id: vault.key_id(), limits };
        let loaded = sled::load(settings)?;
        custody::check(&vault, &loaded, key_loss)?;
        let fate = |verification: &Verification| custody::fate(&vault, &apps, verification);
        let (store, errands) = loaded.start(clock, fate)?;
        Ok((vault, store, errands))
    });
    opening.await.map_err(StartError::Panicked)?
}

impl App {
    /// Address of the API and the webhooks.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Address of the admin listener.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Applies later versions of the configuration to this server; `loaded` is the current one.
    pub fn reloader(&self, loaded: Loaded) -> Reloader {
        Reloader::new(self.changeable.clone(), loaded)
    }

    /// Runs until `shutdown` completes, then stops. Notifies systemd of both, if it supervises the process.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        notify(&[NotifyState::Ready]);
        let watchdog = tokio::spawn(feed_watchdog(Arc::clone(&self.store)));
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            ended = self.servers.join_next() => Err(RunError(trouble(ended))),
        };
        notify(&[NotifyState::Stopping]);
        self.stop().await;
        watchdog.abort();
        ended
    }

    /// Stops within [`STOP_LIMIT`] without losing anything that was answered.
    pub async fn stop(self) {
        let watch = Stopwatch::start();
        tracing::info!("stopping: finishing requests and sends under way");
        self.lifecycle.send_replace(Lifecycle::Draining);
        if let Err(error) = self.store.rest().await {
            tracing::warn!(%error, "the store did not stop sending");
        }
        // While sends finish, new API requests get 503 and webhooks are still accepted.
        let (finished, ()) = tokio::join!(self.courier.finish(SENDS_LIMIT), self.sweeps.stop(SWEEPS_LIMIT));
        if !finished {
            tracing::warn!("some sends were unanswered; they are in doubt until a report settles them");
        }
        let [public, admin] = &self.handles;
        let requests = async { tokio::join!(public.stop(true), admin.stop(true)) };
        if tokio::time::timeout(REQUESTS_LIMIT, requests).await.is_err() {
            tracing::warn!("cut off requests that were still open");
        }
        let left = STOP_LIMIT.saturating_sub(watch.elapsed());
        match tokio::time::timeout(left, self.store.close()).await {
            Ok(Ok(()) | Err(StoreError::Closed)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the store did not close"),
            Err(_) => {
                tracing::error!(
                    "the store did not close in time; everything that was answered is durable nevertheless"
                )
            }
        }
        self.sending.abort();
        drop(self.endpoint_file);
        let took_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(took_ms, "stopped");
    }
}

/// A listener stopped unexpectedly.
#[derive(Debug, thiserror::Error)]
#[error("a listener stopped: {0}")]
pub struct RunError(String);

fn trouble(ended: Option<Result<io::Result<()>, tokio::task::JoinError>>) -> String {
    match ended {
        Some(Ok(Err(error))) => error.to_string(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(Ok(()))) | None => "without an error".to_owned(),
    }
}

/// Does nothing unless systemd started this process.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}

/// Feeds systemd's watchdog while the store responds, so that a stuck store leads to a restart.
async fn feed_watchdog(store: Arc<dyn Store>) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut beat = tokio::time::interval((limit / 3).max(Duration::from_millis(10)));
    loop {
        beat.tick().await;
        match store.health() {
            store::Health::Ready | store::Health::Full | store::Health::Closed => {
                notify(&[NotifyState::Watchdog])
            }
            store::Health::Stuck => {}
        }
    }
}

fn rates(config: &Config) -> BTreeMap<ChannelName, u32> {
    let rate = |(name, channel): (&String, &config::Channel)| {
        Some((ChannelName::new(name), channel.messages_per_second?))
    };
    config.channels.iter().filter_map(rate).collect()
}

fn channels(config: &Config) -> Result<Channels, ChannelError> {
    let settings = config.channels.iter().map(|(name, settings)| {
        let name = ChannelName::new(name);
        let callback = Callback::new(&config.server.public_url, &name);
        (Basis { name, callback, timeouts: settings.timeouts }, settings.kind.clone())
    });
    channel::all(settings)
}

fn console_services(
    config: &Config,
    store: &Arc<dyn Store>,
    vault: &Arc<Vault>,
    clock: &Clock,
    lifecycle: &watch::Receiver<Lifecycle>,
    monitor: &Arc<Monitor>,
) -> console::Services {
    console::Services {
        store: Arc::clone(store),
        vault: Arc::clone(vault),
        clock: clock.clone(),
        monitor: Arc::clone(monitor),
        lifecycle: lifecycle.clone(),
        users: Changing::new(config.console.users.clone()),
        // The configuration has validated the name.
        time_zone: TimeZone::get(&config.console.time_zone).unwrap_or(TimeZone::UTC),
        home_country: config.console.home_country,
        public_url: config.console.public_url.clone(),
        apps: Changing::new(app_names(config)),
        channels: config.channels.keys().map(|name| ChannelName::new(name)).collect(),
        profiles: config.profiles.keys().cloned().collect(),
    }
}

fn app_names(config: &Config) -> Vec<AppName> {
    config.apps.iter().map(|app| app.name.clone()).collect()
}

/// Channels by the name in webhook addresses.
fn by_text(channels: &Channels) -> BTreeMap<String, Arc<Channel>> {
    channels.iter().map(|(name, channel)| (name.to_string(), Arc::clone(channel))).collect()
}

/// Host names by which the admin listener may be called.
fn hosts(config: &Config) -> Hosts {
    let of_console = reqwest::Url::parse(&config.console.public_url).ok();
    let of_console =
        of_console.and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()));
    let listen = config.server.admin_listen.ip();
    let own = (!listen.is_unspecified()).then(|| listen.to_string());
    Hosts::new(config.server.admin_hosts.iter().cloned().chain(of_console).chain(own))
}

/// Redirects `/` of the admin listener to the console.
async fn to_console() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/console")).finish()
}

fn profiles(config: &Config) -> BTreeMap<String, http::Profile> {
    let profile = |(name, profile): (&String, &config::Profile)| {
        let policy = Arc::new(config.policy(name, profile));
        (name.clone(), http::Profile { policy, custom_code: profile.custom_code })
    };
    config.profiles.iter().map(profile).collect()
}

fn needed_templates(config: &Config) -> Vec<NeededTemplate> {
    let mut needed = BTreeSet::new();
    for step in config.profiles.values().flat_map(|profile| &profile.steps) {
        let config::StepContent::Template(name) = &step.content else { continue };
        let languages = config.templates.get(name).into_iter().flat_map(|template| template.locales.values());
        needed.extend(languages.map(|language| NeededTemplate {
            channel: ChannelName::new(&step.channel),
            name: name.clone(),
            language: language.clone(),
        }));
    }
    needed.into_iter().collect()
}

/// A loopback address of the listener.
fn local(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listen.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => listen,
    }
}

fn warn_of_stand_ins(config: &Config) {
    for (name, channel) in &config.channels {
        let address = channel.kind.address();
        if channel.kind.usual_address().is_some_and(|usual| usual != address) {
            tracing::warn!(
                channel = name,
                kind = channel.kind.kind().as_str(),
                address,
                "this channel uses a stand-in instead of its provider: no phone receives anything"
            );
        }
    }
}
