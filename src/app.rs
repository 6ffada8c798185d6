//! The composition root: everything that runs is put together here, for `serve`, for `demo` and for every test.
//!
//! A stop loses nothing: readiness fails first, the store starts nothing more, nothing new is accepted, waiting readers
//! are sent home, requests under way are answered, outcomes of sends under way are recorded, and at last the store is
//! closed. Within [`STOP_LIMIT`].

mod asked;
mod custody;
pub mod demo;
mod descriptors;
mod doctor;
mod door;
mod erase;
mod folder;
mod lost;
mod master_key;
pub mod metrics;
mod offline;
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

/// Of a whole stop. systemd and container runtimes kill after 10 s or later unless told otherwise.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);
/// For requests under way: none waits for a provider, so only slow readers are cut off.
const REQUESTS_LIMIT: Duration = Duration::from_secs(3);
/// For sends under way, before the requests. A provider that takes longer leaves its send in doubt.
const SENDS_LIMIT: Duration = Duration::from_secs(6);
/// For the sweeps; each is short.
const SWEEPS_LIMIT: Duration = Duration::from_secs(1);
/// What the kernel holds of an answer that is not read yet. It would grow to megabytes by itself, for each connection.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;
/// For a peer to take what is sent to it. The web server waits for ever, so whoever asks and does not read could keep
/// its connection with all its buffers; the kernel then resets it. As long as a head or a body may take.
#[cfg(target_os = "linux")]
const NOBODY_READS_LIMIT_MS: u32 = 10_000;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// The folder in the data folder that holds the keys of days and minutes.
const KEYS: &str = "keys";

/// The sockets of both listeners, bound before anything else so that a port that is taken costs nothing.
pub struct Listeners {
    public: TcpListener,
    admin: TcpListener,
}

impl Listeners {
    /// Port 0 takes any free one. Needs a runtime.
    pub fn bind(server: &config::Server) -> Result<Self, StartError> {
        let bind = |key, addr| listen(addr).map_err(|source| StartError::Listen { key, addr, source });
        Ok(Self {
            public: bind("server.listen", server.listen)?,
            admin: bind("server.admin_listen", server.admin_listen)?,
        })
    }

    /// `http://127.0.0.1:8080`, with the port that was taken.
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
    // Every connection that is accepted has what is set here.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(&socket, NOBODY_READS_LIMIT_MS)?;
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
    #[error("the loss of keys cannot be noted: {0}")]
    KeyLossNotNoted(io::Error),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("the metrics cannot be set up: {0}")]
    Metrics(#[from] BuildError),
    #[error("the sweeps cannot be set up: {0}")]
    Sweeps(#[from] JobSchedulerError),
    #[error("the HTTP server cannot be set up: {0}")]
    Http(io::Error),
    #[error("the file `{}` for commands to a running server cannot be written: {source}", path.display())]
    Door { path: PathBuf, source: io::Error },
    #[error("a part of the start panicked: {0}")]
    Panicked(tokio::task::JoinError),
}

fn listen_trouble(key: &str, addr: SocketAddr, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{key}: port {} is taken on {}; stop what uses it or set another", addr.port(), addr.ip())
        }
        io::ErrorKind::PermissionDenied => {
            format!("{key}: not allowed to listen on {addr}; ports below 1024 need a privilege")
        }
        _ => format!("{key}: cannot listen on {addr}: {source}"),
    }
}

/// A server that runs.
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
    /// Tells the command line where the server is.
    notice: door::Notice,
    changeable: Changeable,
}

/// Opens the store, starts every part and takes requests from then on. Needs a runtime with several threads.
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

    let counting = lost::tell(Arc::clone(&store), Arc::clone(&vault), clock.now(), config.retention.personal);
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
    let (door, notice) = door::open(&config.store.path, admin_addr, rows, vault, clock)?;
    let pages = move |pages: &mut ServiceConfig| {
        pages.route("/", web::get().to(to_console));
        door::configure(pages, &door);
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
        "twotick is up"
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
        notice,
        changeable,
    })
}

/// The key rings in a data folder.
fn key_files(data: &Path) -> Arc<KeyFiles> {
    Arc::new(KeyFiles::in_folder(&data.join(KEYS)))
}

/// Key and store, both from the disk.
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
    /// Where the API and the providers' webhooks are taken.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where metrics and the API's documents are.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin_addr
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What follows changes of the configuration that this was built of.
    pub fn reloader(&self, loaded: Loaded) -> Reloader {
        Reloader::new(self.changeable.clone(), loaded)
    }

    /// Runs until `shutdown` is ready, and then stops in order. Tells systemd of both, where it asks.
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

    /// Stops in order, within [`STOP_LIMIT`], and loses nothing that was answered.
    pub async fn stop(self) {
        let watch = Stopwatch::start();
        tracing::info!("stopping: nothing new is taken, what is under way is finished");
        self.lifecycle.send_replace(Lifecycle::Draining);
        if let Err(error) = self.store.rest().await {
            tracing::warn!(%error, "the store could not be asked to rest");
        }
        // Until the sends are settled who asks is told to go elsewhere, and what providers tell is still taken.
        let (finished, ()) = tokio::join!(self.courier.finish(SENDS_LIMIT), self.sweeps.stop(SWEEPS_LIMIT));
        if !finished {
            tracing::warn!(
                "providers had not answered every send; those are in doubt until a report settles them"
            );
        }
        let [public, admin] = &self.handles;
        let requests = async { tokio::join!(public.stop(true), admin.stop(true)) };
        if tokio::time::timeout(REQUESTS_LIMIT, requests).await.is_err() {
            tracing::warn!("requests were still open and are cut off");
        }
        let left = STOP_LIMIT.saturating_sub(watch.elapsed());
        match tokio::time::timeout(left, self.store.close()).await {
            Ok(Ok(()) | Err(StoreError::Closed)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the store did not close"),
            Err(_) => {
                tracing::error!("the store did not close in time; what was answered is durable all the same")
            }
        }
        self.sending.abort();
        drop(self.notice);
        let took_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(took_ms, "stopped");
    }
}

/// A listener ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("a listener ended: {0}")]
pub struct RunError(String);

fn trouble(ended: Option<Result<io::Result<()>, tokio::task::JoinError>>) -> String {
    match ended {
        Some(Ok(Err(error))) => error.to_string(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(Ok(()))) | None => "without an error".to_owned(),
    }
}

/// Nothing where systemd did not start us.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

/// systemd restarts a server that goes silent; one whose store is stuck does.
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
        // Its name was checked.
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

/// As the HTTP side looks them up.
fn by_text(channels: &Channels) -> BTreeMap<String, Arc<Channel>> {
    channels.iter().map(|(name, channel)| (name.to_string(), Arc::clone(channel))).collect()
}

/// Under which names the admin listener is called.
fn hosts(config: &Config) -> Hosts {
    let of_console = reqwest::Url::parse(&config.console.public_url).ok();
    let of_console =
        of_console.and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()));
    let listen = config.server.admin_listen.ip();
    let own = (!listen.is_unspecified()).then(|| listen.to_string());
    Hosts::new(config.server.admin_hosts.iter().cloned().chain(of_console).chain(own))
}

/// The front page of the admin listener.
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

/// How a listener is reached from the same machine.
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
                "this channel does not send by its provider but by a stand-in: nobody's phone rings"
            );
        }
    }
}
