//! Server and sandbox in one process on a temporary folder: for the demo, and as a complete server for tests.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use super::sandbox::{self, Sandbox};
use super::{App, KeyLoss, Listeners, RunError, StartError, build};
use crate::clock::Clock;
use crate::config::{self, Config, Environment, Problems};
use crate::console::password::{self, HashError};
use crate::vault;

/// Addresses tried first, because they are easy to remember; a free port replaces one in use.
const USUAL: [&str; 3] = ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8090"];
const ANY: &str = "127.0.0.1:0";

/// Console users of the demo, each with the role of the same name.
pub const CONSOLE_USERS: [&str; 3] = ["operator", "support", "viewer"];

/// WhatsApp's deadline in the demo.
pub const DELIVER_WITHIN: Duration = Duration::from_secs(4);
/// Delay of the sandbox's "delivered after the deadline".
const LATE_AFTER: Duration = Duration::from_secs(6);
/// Interval between two reports of the sandbox.
const PACE: Duration = Duration::from_millis(300);

/// A running demo.
pub struct Demo {
    pub app: App,
    pub sandbox: Sandbox,
    /// API key of the only app.
    pub api_key: SecretString,
    /// Password of all [`CONSOLE_USERS`].
    pub console_password: SecretString,
    /// Temporary folder, removed on drop.
    pub folder: Folder,
}

/// Why the demo did not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot start the sandbox: {0}")]
    Sandbox(io::Error),
    #[error("cannot create a temporary folder in {place}: {source}")]
    Folder { place: PathBuf, source: io::Error },
    #[error("the demo's built-in configuration is invalid: {0}")]
    Config(#[from] Problems),
    #[error("cannot hash the console password: {0}")]
    Password(#[from] HashError),
}

/// Starts the demo. The API listens on `listen`, else on port 8080 or a free one.
pub async fn start(listen: Option<SocketAddr>) -> Result<Demo, DemoError> {
    let folder = Folder::new()?;
    let listeners = listeners(listen)?;
    let secrets = Secrets::new();
    let sandbox = start_sandbox(&listeners, &secrets).await?;
    let config = config(&listeners, &sandbox, &secrets, folder.path())?;
    let app = build(&config, Clock::System, listeners, KeyLoss::Refused).await?;
    let (api_key, console_password) = (SecretString::from(secrets.api_key), secrets.console);
    Ok(Demo { app, sandbox, api_key, console_password, folder })
}

impl Demo {
    /// Runs until `shutdown` completes, then stops both and removes the folder.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let ended = self.app.run(shutdown).await;
        self.sandbox.stop().await;
        drop(self.folder);
        ended
    }
}

fn listeners(listen: Option<SocketAddr>) -> Result<Listeners, StartError> {
    let bind = |public: SocketAddr, admin: SocketAddr| {
        let public_url = format!("http://{public}");
        Listeners::bind(&config::Server {
            listen: public,
            admin_listen: admin,
            public_url,
            max_connections: 1_000,
            max_waiting_per_app: 500,
            admin_hosts: Vec::new(),
        })
    };
    let [public, admin, _] = USUAL.map(address);
    match listen {
        Some(public) => bind(public, admin).or_else(|_| bind(public, address(ANY))),
        None => bind(public, admin).or_else(|_| bind(address(ANY), address(ANY))),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("the addresses above are well formed") // constants, and every start reads them
}

async fn start_sandbox(listeners: &Listeners, secrets: &Secrets) -> Result<Sandbox, DemoError> {
    let server = listeners.public_url().map_err(StartError::Http)?;
    let options = |listen| sandbox::Options {
        listen,
        webhook_url: format!("{server}/webhooks/whatsapp"),
        app_secret: SecretString::from(secrets.app.as_str()),
        report_url: format!("{server}/webhooks/sms"),
        report_secret: SecretString::from(secrets.report.as_str()),
        pace: PACE,
        late_after: LATE_AFTER,
    };
    match sandbox::start(options(address(USUAL[2]))).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => sandbox::start(options(address(ANY))).await,
        started => started,
    }
    .map_err(DemoError::Sandbox)
}

struct Secrets {
    api_key: String,
    app: String,
    report: String,
    console: SecretString,
}

impl Secrets {
    fn new() -> Self {
        let fresh = || URL_SAFE_NO_PAD.encode(&vault::new_master_key()[..18]);
        Self { api_key: format!("demo_{}", fresh()), app: fresh(), report: fresh(), console: fresh().into() }
    }
}

fn config(
    listeners: &Listeners,
    sandbox: &Sandbox,
    secrets: &Secrets,
    folder: &Path,
) -> Result<Config, DemoError> {
    let Secrets { api_key, app, report, console } = secrets;
    let (server, graph) = (listeners.public_url().map_err(StartError::Http)?, sandbox.url());
    let admin = listeners.admin_url().map_err(StartError::Http)?;
    let hash = password::hash(console)?;
    let users: String = CONSOLE_USERS
        .iter()
        .map(|role| {
            format!("[[console.users]]\nname = \"{role}\"\nrole = \"{role}\"\npassword_hash = \"{hash}\"\n")
        })
        .collect();
    // `Debug` of a path's text is a valid TOML string.
    let (data, key) = (folder.join("data"), folder.join("master.key"));
    let (data, key) = (data.to_string_lossy(), key.to_string_lossy());
    let within = DELIVER_WITHIN.as_millis();
    let text = format!(
        r#"
[server]
public_url = "{server}"
[store]
path = {data:?}
[keys]
master = {{ file = {key:?} }}
[console]
public_url = "{admin}"
{users}[[apps]]
name = "demo"
api_keys = ["{api_key}"]
[channels.whatsapp]
kind = "meta"
graph_url = "{graph}"
phone_number_id = "106540352242922"
business_account_id = "102290129340398"
access_token = "demo"
app_secrets = ["{app}"]
verify_token = "{app}"
[channels.sms]
kind = "http"
url = "{graph}/sms/send"
from = "Acme"
bearer = "demo"
report_secret = "{report}"
[profiles.login]
brand = "Acme"
resend_after = ["5s", "10s", "20s"]
steps = [
  {{ channel = "whatsapp", template = "login_code", deliver_within = "{within}ms" }},
  {{ channel = "sms", text = "otp" }},
]
[templates.login_code]
locales = {{ en = "en_US", de = "de" }}
button = "copy_code"
[texts.otp]
en = "{{code}} is your {{brand}} code. It expires in {{minutes}} minutes."
de = "{{code}} ist Ihr {{brand}}-Code. Er läuft in {{minutes}} Minuten ab."
"#
    );
    Ok(Config::parse(&text, &Environment::default())?)
}

/// A temporary folder, readable only by its owner, removed on drop.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, DemoError> {
        let place = std::env::temp_dir();
        let name = URL_SAFE_NO_PAD.encode(&vault::new_master_key()[..9]);
        let path = place.join(format!("twotick-demo-{name}"));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(DemoError::Folder { place, source }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "cannot remove the demo's folder");
        }
    }
}
