//! HTTP client of the app API, for the commands that call a server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{Cli, Exit, load_config_for, secret};
use crate::config::Config;
use crate::http_client;

/// Longer than the server's longest long poll (60 s).
const TIMEOUT: Duration = Duration::from_secs(75);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait of one long poll, in seconds.
pub(super) const WAIT_SECONDS: u32 = 25;

/// The server to call, and the API key.
#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// Server address [default: `server.listen` of the configuration]
    #[arg(long, value_name = "URL", env = "TWOTICK_URL")]
    url: Option<String>,
    /// API key of the app [default: the first key of the first app in the configuration]
    #[arg(long, value_name = "KEY", env = "TWOTICK_API_KEY", hide_env_values = true)]
    key: Option<SecretString>,
    /// Print the API's answer unchanged
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) struct Api {
    client: Client,
    base: String,
    key: SecretString,
}

/// An answer of the API.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The body, unchanged.
    pub(super) text: String,
    pub(super) etag: Option<HeaderValue>,
}

/// The server did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{base} cannot be reached: {reason}")]
pub(super) struct Unreachable {
    base: String,
    reason: String,
}

/// Runs `work` with an authenticated client. Prints to stderr why there is none.
pub(super) fn with_api(
    cli: &Cli,
    server: &Server,
    work: impl AsyncFnOnce(&Api) -> Result<Exit, Unreachable>,
) -> Exit {
    with(Api::new(cli, server), work)
}

/// Runs `work` with a client that sends no API key.
pub(super) fn with_public_api(
    cli: &Cli,
    server: &Server,
    work: impl AsyncFnOnce(&Api) -> Result<Exit, Unreachable>,
) -> Exit {
    with(Api::without_key(cli, server), work)
}

fn with(api: Result<Api, Exit>, work: impl AsyncFnOnce(&Api) -> Result<Exit, Unreachable>) -> Exit {
    let api = match api {
        Ok(api) => api,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start the event loop: {error}");
            return Exit::Failed;
        }
    };
    runtime.block_on(work(&api)).unwrap_or_else(|unreachable| {
        eprintln!("{unreachable}; is `twotick serve` running?");
        Exit::Unreachable
    })
}

impl Api {
    fn new(cli: &Cli, server: &Server) -> Result<Self, Exit> {
        let key = server.key.as_ref().map(|key| secret("--key or TWOTICK_API_KEY", key)).transpose()?;
        let url = server.url.clone();
        let (base, key) = match (url, key) {
            (Some(url), Some(key)) => (url, key),
            (Some(url), None) => (url, first_key(&load_config_for(cli, &[FIRST_KEY])?.config)?),
            (None, Some(key)) => (address(&load_config_for(cli, &[])?.config), key),
            (None, None) => {
                let config = load_config_for(cli, &[FIRST_KEY])?.config;
                (address(&config), first_key(&config)?)
            }
        };
        Self::usable(&base, key)
    }

    fn without_key(cli: &Cli, server: &Server) -> Result<Self, Exit> {
        let base = match &server.url {
            Some(url) => url.clone(),
            None => address(&load_config_for(cli, &[])?.config),
        };
        Self::usable(&base, SecretString::from(""))
    }

    fn usable(base: &str, key: SecretString) -> Result<Self, Exit> {
        Self::at(base, key).map_err(|error| {
            eprintln!("{error}");
            Exit::Usage
        })
    }

    pub(super) fn at(base: &str, key: SecretString) -> Result<Self, String> {
        let valid = reqwest::Url::parse(base).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !valid {
            return Err("the address of the server must be a URL such as http://127.0.0.1:8080".to_owned());
        }
        let client = http_client::builder(base)
            .user_agent(concat!("twotick-cli/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| format!("cannot create an HTTP client: {error}"))?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), key })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, Unreachable> {
        self.ask(self.client.get(self.address(path))).await
    }

    /// Long poll: waits up to `seconds` for a version other than `known`; the answer is 304 if there is none.
    pub(super) async fn get_changed(
        &self,
        path: &str,
        known: &HeaderValue,
        seconds: u32,
    ) -> Result<Answer, Unreachable> {
        let address = format!("{}?wait={seconds}", self.address(path));
        self.ask(self.client.get(address).header(IF_NONE_MATCH, known)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer, Unreachable> {
        let request = self.client.post(self.address(path)).header("content-type", "application/json");
        self.ask(request.body(body.to_string())).await
    }

    /// Asks `/healthz`.
    pub(super) async fn health(&self) -> Result<Answer, Unreachable> {
        self.ask(self.client.get(format!("{}/healthz", self.base))).await
    }

    fn address(&self, path: &str) -> String {
        format!("{}/v1{path}", self.base)
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Answer, Unreachable> {
        let key = self.key.expose_secret();
        let request = if key.is_empty() { request } else { request.bearer_auth(key) };
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let etag = response.headers().get(ETAG).cloned();
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        Ok(Answer { status, text, etag })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Unreachable {
        Unreachable { base: self.base.clone(), reason: http_client::cause(error) }
    }
}

/// Key path of the first API key of the first app.
const FIRST_KEY: &str = "apps[0].api_keys[0]";

fn first_key(config: &Config) -> Result<SecretString, Exit> {
    let first = config.apps.first().and_then(|app| app.api_keys.first()).cloned();
    first.ok_or_else(|| {
        eprintln!("no API key: give --key or TWOTICK_API_KEY");
        Exit::Usage
    })
}

fn address(config: &Config) -> String {
    local_url(config.server.listen, &config.server.public_url)
}

/// URL of a server with this configuration, seen from the same machine.
fn local_url(listen: SocketAddr, public_url: &str) -> String {
    if listen.port() == 0 {
        return public_url.to_owned();
    }
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

impl Answer {
    /// The body as JSON; null if it is not JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Prints the raw body or the text from `human` to stdout; prints a refusal as text to stderr.
    pub(super) fn print(&self, server: &Server, human: impl FnOnce(&Value) -> String) -> Exit {
        let refused = !self.status.is_success();
        if server.json {
            let ended = super::print(&format!("{}\n", self.text.trim_end()));
            return if refused { Exit::Failed } else { ended };
        }
        if refused {
            return self.refuse();
        }
        super::print(&human(&self.json()))
    }

    /// Prints the problem document of a refusal to stderr.
    pub(super) fn refuse(&self) -> Exit {
        let problem = self.json();
        let word = |pointer: &str| problem.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let title = word("/title").unwrap_or_else(|| format!("the server answered {}", self.status));
        let code = word("/code").map(|code| format!(" ({code})")).unwrap_or_default();
        let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        // With field errors, the detail only repeats the first one.
        let detail = word("/detail").filter(|_| errors.is_empty());
        eprintln!("{title}{code}{}", detail.map(|detail| format!(": {detail}")).unwrap_or_default());
        for error in errors {
            let word = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
            eprintln!("  {}  {}", word("pointer"), word("detail"));
        }
        Exit::Failed
    }
}
