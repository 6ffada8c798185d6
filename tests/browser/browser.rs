//! A Chromium with its own profile. It can only reach this machine; console messages and policy violations are recorded
//! from the first page on.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::driver::Driver;

/// The time-out for a condition on a page, on a machine under load.
const PATIENCE: Duration = Duration::from_secs(20);
const AXE: &str = include_str!("vendor/axe.min.js");

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    Light,
    Dark,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    #[default]
    Desk,
    Phone,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scripts {
    #[default]
    Run,
    Refused,
}

/// The value of `Accept-Language`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tongue {
    #[default]
    English,
    German,
}

/// The setup of a browser.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup {
    pub theme: Theme,
    pub screen: Screen,
    pub scripts: Scripts,
    pub tongue: Tongue,
}

pub struct Browser {
    client: Client,
    http: reqwest::Client,
    /// The driver's session id.
    session: String,
    _profile: TempDir,
}

impl Browser {
    pub async fn open(driver: &Driver, setup: Setup) -> Self {
        let profile = driver.profile();
        let connector = HttpConnector::new();
        let client = ClientBuilder::new(connector)
            .capabilities(capabilities(&profile, setup))
            .connect(&driver.url())
            .await
            .expect("Chromium starts; tests/run installs it");
        let id = client.session_id().await.expect("the driver answers").expect("a session");
        let session = format!("{}/session/{id}", driver.url());
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let browser = Self { client, http, session, _profile: profile };
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
        browser.show(setup.theme, setup.screen).await;
        if setup.scripts == Scripts::Refused {
            browser.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
        }
        browser
    }

    /// Sets the preferred theme and the screen size.
    pub async fn show(&self, theme: Theme, screen: Screen) {
        let scheme = match theme {
            Theme::Light => "light",
            Theme::Dark => "dark",
        };
        // Without motion, pictures never catch an animation.
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
        let (width, height, mobile) = match screen {
            Screen::Desk => (1280, 900, false),
            Screen::Phone => (390, 844, true),
        };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    pub async fn reload(&self) {
        self.client.refresh().await.expect("the page comes again");
    }

    pub async fn back(&self) {
        self.client.back().await.expect("there is a page before");
    }

    pub async fn url(&self) -> String {
        self.client.current_url().await.expect("a page").to_string()
    }

    pub async fn title(&self) -> String {
        self.client.title().await.expect("a page")
    }

    /// Waits for an element.
    pub async fn find(&self, css: &str) -> Element {
        self.until(&format!("document.querySelector({})", json!(css))).await;
        self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// The current number of matching elements.
    pub async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.expect("a page").len()
    }

    /// Waits until the element has visible text, and returns it.
    pub async fn text(&self, css: &str) -> String {
        let said = self.until(&format!("document.querySelector({}).innerText.trim()", json!(css))).await;
        said.as_str().expect("a text").to_owned()
    }

    /// Like [`Browser::text`] without waiting, for pages without scripts.
    pub async fn text_at_once(&self, css: &str) -> String {
        let found =
            self.client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        found.text().await.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// Clicks the element as a person would.
    pub async fn click(&self, css: &str) {
        loop {
            match self.find(css).await.click().await {
                Ok(()) => return,
                // The element was replaced in between.
                Err(CmdError::Standard(error)) if error.error == ErrorStatus::StaleElementReference => {}
                Err(error) => panic!("{css}: {error}"),
            }
        }
    }

    /// Replaces the content of a field.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.send_keys(text).await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Types into the focused element.
    pub async fn press(&self, keys: &str) {
        let focused = self.client.active_element().await.expect("something has the focus");
        focused.send_keys(keys).await.unwrap_or_else(|error| panic!("{keys:?}: {error}"));
    }

    pub async fn press_key(&self, key: Key) {
        self.press(&char::from(key).to_string()).await;
    }

    /// Calls `script`, a function body, in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Evaluates the expression in every frame until it is true, and returns its value.
    pub async fn until(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; const end = performance.now() + {};
             (function look() {{
               let value = null;
               try {{ value = {expression}; }} catch {{ }}
               if (value) return done(value instanceof Node ? true : value);
               if (performance.now() > end) return done(null);
               requestAnimationFrame(look);
             }})();",
            PATIENCE.as_millis()
        );
        let look = async {
            loop {
                match self.client.execute_async(&script, Vec::new()).await {
                    Ok(Value::Null) => return None,
                    Ok(value) => return Some(value),
                    Err(CmdError::Standard(error)) if page_was_left(&error.error) => {}
                    Err(error) => panic!("{expression}: {error}"),
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE * 2, look).await.ok().flatten();
        match found {
            Some(value) => value,
            None => panic!("never became true on {}: {expression}\n{}", self.url().await, self.words().await),
        }
    }

    /// The visible text of the page.
    pub async fn words(&self) -> String {
        self.run("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Fails if axe-core finds a violation of WCAG 2.2 AA or of its best practices on the page in its current state.
    pub async fn assert_accessible(&self, context: &str) {
        self.examine(context, "{}").await;
    }

    /// Repeats the checks that depend on the screen size, and checks that the page fits the width.
    pub async fn assert_sizes(&self, context: &str) {
        let rules = "{ runOnly: { type: 'rule', values: \
                     ['target-size', 'scrollable-region-focusable', 'meta-viewport', 'css-orientation-lock'] } }";
        self.examine(context, rules).await;
        self.assert_fits(context).await;
    }

    async fn examine(&self, context: &str, options: &str) {
        if self.run("return !window.axe").await == true {
            self.client.execute(AXE, Vec::new()).await.expect("axe is taken");
        }
        let script = format!(
            "const done = arguments[arguments.length - 1];
             axe.run(document, {{ resultTypes: ['violations'], ...{options} }}).then(
               (found) => done({{ violations: found.violations.map((rule) =>
                 `${{rule.id}} (${{rule.impact}}): ` + rule.nodes.map((node) =>
                   node.target.join(' ') + ' ' + node.any.concat(node.all).map((check) => check.message).join('; ')
                 ).join(' | ')), passes: found.passes.length }}),
               (error) => done({{ violations: [String(error)], passes: 0 }}));"
        );
        let found = self.client.execute_async(&script, Vec::new()).await.expect("axe answers");
        assert_eq!(found["violations"], json!([]), "{context}: {}", self.url().await);
        assert_ne!(found["passes"], 0, "{context}: axe looked at nothing");
    }

    /// Fails if the page is wider than the screen.
    pub async fn assert_fits(&self, context: &str) {
        let overhang = self
            .run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
            .await;
        assert_eq!(overhang, 0, "{context}: {} is wider than the screen", self.url().await);
    }

    /// Fails on console messages, policy violations and executed hostile texts since the last call; `expected` lists
    /// permitted messages.
    pub async fn assert_quiet(&self, context: &str, expected: &[&str]) {
        let log = self.command("/se/log", json!({ "type": "browser" })).await;
        let said: Vec<&str> = log
            .as_array()
            .expect("a list")
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .filter_map(|entry| entry["message"].as_str())
            .filter(|message| !expected.iter().any(|known| message.contains(known)))
            .collect();
        assert!(said.is_empty(), "{context}: {}: the console says {said:#?}", self.url().await);
        let seen = self.run("return window.watched ?? null").await;
        assert_eq!(
            seen["refused"],
            json!([]),
            "{context}: the policy refused something on {}",
            self.url().await
        );
        assert_eq!(seen["ran"], json!([]), "{context}: a hostile text ran on {}", self.url().await);
    }

    /// Grants clipboard access to the current origin.
    pub async fn allow_clipboard(&self) {
        for name in ["clipboard-read", "clipboard-write"] {
            self.command("/permissions", json!({ "descriptor": { "name": name }, "state": "granted" })).await;
        }
    }

    pub async fn clipboard(&self) -> String {
        let script = "const done = arguments[arguments.length - 1];
             navigator.clipboard.readText().then(done, (error) => done(String(error)));";
        let text = self.client.execute_async(script, Vec::new()).await.expect("a clipboard");
        text.as_str().unwrap_or_default().to_owned()
    }

    /// A screenshot of the viewport as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a picture")
    }

    pub async fn close(self) {
        self.client.clone().close().await.expect("it closes");
    }

    /// A command of the Chrome DevTools Protocol.
    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        self.command("/goog/cdp/execute", json!({ "cmd": command, "params": params })).await
    }

    async fn command(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.session)).body(body.to_string());
        let bytes = request.send().await.expect("the driver answers").bytes().await.expect("a whole answer");
        let mut answer: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {answer}");
        answer["value"].take()
    }
}

/// Runs before anything else on every page, and records every call that a hostile text attempts.
const WATCH: &str = "
  window.watched = { refused: [], ran: [] };
  document.addEventListener('securitypolicyviolation', (event) =>
    window.watched.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  for (const name of ['alert', 'confirm', 'prompt', 'hostile']) {
    window[name] = (...given) => { window.watched.ran.push(`${name}(${given})`); };
  }
";

fn page_was_left(error: &ErrorStatus) -> bool {
    matches!(
        error,
        ErrorStatus::JavascriptError
            | ErrorStatus::NoSuchElement
            | ErrorStatus::StaleElementReference
            | ErrorStatus::UnknownError
            // The driver's errors if the page navigates between two polls.
            | ErrorStatus::ScriptTimeout
    )
}

fn capabilities(profile: &TempDir, setup: Setup) -> serde_json::Map<String, Value> {
    let languages = match setup.tongue {
        Tongue::English => "en-GB,en",
        Tongue::German => "de-AT,de,en",
    };
    let mut args = vec![
        "--headless=new".to_owned(),
        format!("--user-data-dir={}", profile.path().display()),
        format!("--accept-lang={languages}"),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".to_owned(),
    ];
    for plain in ["disable-gpu", "disable-dev-shm-usage", "disable-extensions", "no-first-run", "mute-audio"]
    {
        args.push(format!("--{plain}"));
    }
    if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        // Chromium's own sandbox does not work for root.
        args.push("--no-sandbox".to_owned());
    }
    let capabilities = json!({
        "browserName": "chrome",
        "goog:chromeOptions": {
            "args": args,
            "prefs": { "intl.accept_languages": languages, "credentials_enable_service": false },
        },
        "goog:loggingPrefs": { "browser": "ALL" },
        "timeouts": { "script": 30_000, "pageLoad": 30_000, "implicit": 0 },
    });
    let Value::Object(capabilities) = capabilities else { unreachable!("it is written as an object") };
    capabilities
}
