//! The files in `deploy/`, checked by the programs that use them: units, proxies, backup, alert rules, dashboard and
//! package.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{KEY, Server, config, free_address, sandbox, stderr, stdout, twotick};
use twotick::clock::Stopwatch;

/// Upper bound for a program's answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a program that `tests/run` installs.
fn program(name: &str, args: &[&str]) -> Output {
    let output = Command::new(name).args(args).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{name}: {error}; tests/run installs what is needed"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

#[test]
fn the_alert_rules_are_valid_and_fire_when_they_should() {
    let checked = program("promtool", &["check", "rules", "deploy/prometheus/twotick.rules.yml"]);
    assert!(checked.status.success(), "{}{}", stdout(&checked), stderr(&checked));
    let tested = program("promtool", &["test", "rules", "deploy/prometheus/twotick.rules.test.yml"]);
    assert!(tested.status.success(), "{}{}", stdout(&tested), stderr(&tested));
    // Each rule has a case in which it fires and one in which it does not.
    let (rules, tests) =
        (read("deploy/prometheus/twotick.rules.yml"), read("deploy/prometheus/twotick.rules.test.yml"));
    let names: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let cases: Vec<_> = tests.split("alertname: ").filter(|case| case.starts_with(name)).collect();
        let calm =
            cases.iter().filter(|case| case.lines().nth(1).unwrap().trim() == "exp_alerts: []").count();
        assert!(cases.len() > calm && calm > 0, "{name} has {} cases, {calm} of them calm", cases.len());
    }
}

/// The code describes all metrics in rules and dashboard, with the labels that they use.
#[test]
fn every_metric_in_rules_and_dashboard_is_described() {
    let code = sources("src");
    let mut asked = BTreeSet::new();
    for file in ["deploy/prometheus/twotick.rules.yml", "deploy/grafana/twotick.json"] {
        let text = read(file);
        let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
        let metrics = words.filter(|word| word.starts_with("twotick_")).map(|word| {
            let suffix = ["_bucket", "_count", "_sum"].into_iter().find(|suffix| word.ends_with(suffix));
            suffix.map_or(word, |suffix| &word[..word.len() - suffix.len()]).to_owned()
        });
        asked.extend(metrics);
    }
    assert!(asked.len() > 20, "{asked:?}");
    for metric in asked {
        let named = format!("\"{metric}\"");
        // By its name, or by a constant.
        let constant = code.lines().find(|line| line.contains("const ") && line.contains(&named));
        let constant = constant.and_then(|line| line.split("const ").nth(1)?.split(':').next());
        let is_described = code.split("describe_").skip(1).any(|call| {
            let argument = call.split_once("!(").map(|(_, rest)| rest.trim_start()).unwrap_or_default();
            argument.starts_with(&named)
                || constant.is_some_and(|name| argument.starts_with(&format!("{name},")))
        });
        assert!(is_described, "{metric} is described nowhere");
    }
}

fn sources(folder: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(path.to_str().unwrap()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&read(&path));
        }
    }
    text
}

#[test]
fn the_dashboard_is_valid() {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/twotick.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
    // Prometheus accepts all queries once the variables are filled in.
    let folder = tempfile::tempdir().unwrap();
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    let mut queries = 0;
    for query in panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten()) {
        let query =
            query["expr"].as_str().unwrap().replace("$__rate_interval", "5m").replace("$instance", ".*");
        assert!(!query.contains('$'), "{query}");
        rules.push_str(&format!("      - record: query_{queries}\n        expr: >-\n          {query}\n"));
        queries += 1;
    }
    assert!(queries > 20);
    let path = folder.path().join("rules.yml");
    fs::write(&path, rules).unwrap();
    let checked = program("promtool", &["check", "rules", path.to_str().unwrap()]);
    assert!(checked.status.success(), "{}{}", stdout(&checked), stderr(&checked));
}

/// systemd accepts the units without warnings. The programs that they start are put in place.
#[test]
fn systemd_accepts_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let units: Vec<_> = fs::read_dir("deploy")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "service" || end == "timer"))
        .collect();
    assert!(units.len() >= 3, "{units:?}");
    let commands = [("twotick-backup", "deploy/twotick-backup"), ("twotick", env!("CARGO_BIN_EXE_twotick"))];
    let mut copies = Vec::new();
    for unit in &units {
        let mut text = read(unit);
        for (command, at) in commands {
            let at = fs::canonicalize(at).unwrap();
            for key in ["ExecStart", "ExecStartPre", "ExecReload"] {
                let line = |with: &str| {
                    text.replace(&format!("{key}={command}{with}"), &format!("{key}={}{with}", at.display()))
                };
                text = if command == "twotick" { line(" ") } else { line("") };
            }
        }
        let unknown = text.lines().find(|line| line.starts_with("Exec") && line.contains("=twotick"));
        assert_eq!(unknown, None, "a command whose path is not known");
        let copy = folder.path().join(unit.file_name().unwrap());
        fs::write(&copy, text).unwrap();
        copies.push(copy.to_str().unwrap().to_owned());
    }
    let copies: Vec<_> = copies.iter().map(String::as_str).collect();
    let verified = program("systemd-analyze", &[&["verify", "--man=no"], &copies[..]].concat());
    let complaints = stderr(&verified);
    assert!(verified.status.success() && complaints.trim().is_empty(), "{complaints}");
}

/// All files in the package exist, and all files of `deploy/` that a machine needs are in the package.
#[test]
fn the_package_is_complete() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let package = &manifest["package"];
    assert_eq!(package["license"].as_str(), Some("MIT OR Apache-2.0"));
    let deb = &package["metadata"]["deb"];
    let assets = deb["assets"].as_array().unwrap();
    let word = |asset: &toml::Value, place: usize| asset[place].as_str().unwrap().to_owned();
    let sources: BTreeSet<String> = assets.iter().map(|asset| word(asset, 0)).collect();
    for source in &sources {
        assert!(source.starts_with("target/release/") || Path::new(source).is_file(), "{source}");
    }
    for entry in fs::read_dir("deploy").unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        let is_for_machines = path.is_file() && !["deploy/Dockerfile", "deploy/README.md"].contains(&name);
        assert!(!is_for_machines || sources.contains(name), "{name} is not in the package");
    }
    let targets: Vec<String> = assets.iter().map(|asset| format!("/{}", word(asset, 1))).collect();
    for file in deb["conf-files"].as_array().unwrap() {
        assert!(targets.iter().any(|target| target == file.as_str().unwrap()), "{file:?}");
    }
    for file in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md", "docs/UPGRADING.md", ".dockerignore"] {
        assert!(read(file).len() > 100, "{file}");
    }
    // The sources of the image are not ignored.
    let ignored = read(".dockerignore");
    for needed in ["src", "Cargo.toml", "Cargo.lock", "config.toml", "askama.toml", "benches"] {
        assert!(!ignored.lines().any(|line| line.trim() == needed), "{needed}");
    }
    assert!(ignored.lines().any(|line| line == "target") && ignored.lines().any(|line| line == "data"));
}

/// The script backs up a running server; the backup can be restored elsewhere, and one copy of the keys remains.
#[tokio::test(flavor = "multi_thread")]
async fn the_backup_includes_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let sandbox = sandbox(address).await;
    let server = Server::start(&config(address, &sandbox.url(), folder.path()), folder.path());
    let sent = support::run(&["send", "+12025550100", "--wait", "--url", &server.url(), "--key", KEY]);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let (backups, copy) = (folder.path().join("backups"), folder.path().join("keys-copy"));
    let back_up = || {
        let bin = Path::new(env!("CARGO_BIN_EXE_twotick")).parent().unwrap();
        let script = "PATH=\"$0:$PATH\" exec deploy/twotick-backup";
        let output = Command::new("sh")
            .args(["-c", script, bin.to_str().unwrap()])
            .env("TWOTICK_CONFIG", folder.path().join("config.toml"))
            .env("TWOTICK_DATA", folder.path().join("data"))
            .env("TWOTICK_MASTER_KEY", folder.path().join("master.key"))
            .env("TWOTICK_BACKUPS", &backups)
            .env("TWOTICK_KEY_COPY", &copy)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    };
    back_up();
    back_up();
    let names = |path: &Path| {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let stored = names(&backups);
    assert!(stored.len() <= 2 && stored.iter().all(|name| name.ends_with(".zst")), "{stored:?}");
    assert_eq!(names(&copy), ["keys", "master.key"]);
    let beside: Vec<_> =
        names(folder.path()).into_iter().filter(|name| name.starts_with("keys-copy")).collect();
    assert_eq!(beside, ["keys-copy"], "an older copy of the keys would undo what was forgotten");

    // Elsewhere: both keys in place, then the store.
    let elsewhere = tempfile::tempdir().unwrap();
    let data = elsewhere.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::copy(copy.join("master.key"), elsewhere.path().join("master.key")).unwrap();
    fs::create_dir(data.join("keys")).unwrap();
    for name in names(&copy.join("keys")) {
        fs::copy(copy.join("keys").join(&name), data.join("keys").join(&name)).unwrap();
    }
    let address = free_address();
    let text = config(address, &sandbox.url(), elsewhere.path());
    let path = elsewhere.path().join("config.toml");
    fs::write(&path, &text).unwrap();
    let newest = backups.join(stored.last().unwrap());
    let restored = twotick()
        .args(["--config", path.to_str().unwrap(), "restore", newest.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", stderr(&restored));
    let server = Server::start(&text, elsewhere.path());
    let list = support::http_client().get(format!("{}/v1/verifications", server.url())).bearer_auth(KEY);
    let list = list.send().await.unwrap().bytes().await.unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list["data"][0]["to"], "+12025550100", "the keys open what the store holds: {list}");
}

/// A proxy; killed on drop.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until the address accepts connections.
async fn listens(address: std::net::SocketAddr) {
    let start = Stopwatch::start();
    while tokio::net::TcpStream::connect(address).await.is_err() {
        assert!(start.elapsed() < PATIENCE, "nobody listens on {address}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_does_not_buffer_events_and_preserves_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let [api, console, plain, outside] = [(); 4].map(|()| free_address());
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (pem, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&pem, certificate.cert.pem()).unwrap();
    fs::write(&key, certificate.signing_key.serialize_pem()).unwrap();
    let mut sample = read("deploy/nginx.conf");
    for name in ["codes", "console"] {
        let live = format!("/etc/letsencrypt/live/{name}.example.com");
        sample = sample.replace(&format!("{live}/fullchain.pem"), pem.to_str().unwrap());
        sample = sample.replace(&format!("{live}/privkey.pem"), key.to_str().unwrap());
    }
    // The two servers differ only in their names, so each gets a port.
    let sample = sample
        .replacen("listen 443 ssl http2;", &format!("listen {api} ssl http2;"), 1)
        .replacen("listen 443 ssl http2;", &format!("listen {console} ssl http2;"), 1)
        .replace("listen 80;", &format!("listen {plain};"));
    let sample = house.upstreams(&House::seen_from_outside(&sample, console, outside));
    let places = folder.path().display();
    let whole = format!(
        "daemon off;\nmaster_process off;\npid {places}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {places}/a;\nproxy_temp_path {places}/b;\nfastcgi_temp_path {places}/c;\n\
         uwsgi_temp_path {places}/d;\nscgi_temp_path {places}/e;\n{sample}\n}}\n"
    );
    let path = folder.path().join("nginx.conf");
    fs::write(&path, whole).unwrap();
    let path = path.to_str().unwrap();
    let checked = program("nginx", &["-t", "-q", "-c", path]);
    assert!(checked.status.success(), "{}", stderr(&checked));
    let started =
        Command::new("nginx").args(["-c", path]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _nginx = Proxy(started);
    listens(api).await;
    let [api, console, outside] = [api, console, outside].map(|at| format!("https://{at}"));
    house.proves(&api, &console, &outside).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_does_not_buffer_events_and_preserves_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let sample = fs::canonicalize("deploy/Caddyfile").unwrap();
    let validated = Command::new("caddy")
        .args(["validate", "--adapter", "caddyfile", "--config", sample.to_str().unwrap()])
        .env("HOME", folder.path())
        .output()
        .unwrap_or_else(|error| panic!("caddy: {error}; tests/run installs what is needed"));
    assert!(validated.status.success(), "{}", stderr(&validated));
    let house = House::new(folder.path()).await;
    let [api, console, outside] = [(); 3].map(|()| free_address());
    // Without certificates, which Caddy would request from the internet.
    let sample = read(sample)
        .replace("codes.example.com {", &format!("http://{api} {{\n\tbind {}", api.ip()))
        .replace("console.example.com {", &format!("http://{console} {{\n\tbind {}", console.ip()));
    let path = folder.path().join("Caddyfile");
    let sample = house.upstreams(&House::seen_from_outside(&sample, console, outside));
    fs::write(&path, format!("{{\n\tadmin off\n\tauto_https off\n}}\n{sample}")).unwrap();
    let started = Command::new("caddy")
        .args(["run", "--adapter", "caddyfile", "--config", path.to_str().unwrap()])
        .env("HOME", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _caddy = Proxy(started);
    listens(api).await;
    let [api, console, outside] = [api, console, outside].map(|at| format!("http://{at}"));
    house.proves(&api, &console, &outside).await;
}

/// A server with the sandbox, and a recorder of requests instead of the admin listener.
struct House {
    server: Server,
    admin: std::net::TcpListener,
    _sandbox: twotick::sandbox::Sandbox,
}

impl House {
    async fn new(folder: &Path) -> Self {
        let address = free_address();
        let sandbox = sandbox(address).await;
        let server = Server::start(&config(address, &sandbox.url(), folder), folder);
        Self { server, admin: std::net::TcpListener::bind("127.0.0.1:0").unwrap(), _sandbox: sandbox }
    }

    /// The sample, with the console on another port, where clients count as outside the allowed networks.
    fn seen_from_outside(
        sample: &str,
        console: std::net::SocketAddr,
        outside: std::net::SocketAddr,
    ) -> String {
        let (_, block) = sample.split_once("# The console for staff").unwrap();
        let block = block.replace(&console.to_string(), &outside.to_string());
        assert!(block.contains("127.0.0.0/8"), "{block}");
        format!("{sample}\n# {}", block.replace("127.0.0.0/8", "192.0.2.0/24"))
    }

    /// The sample with the test's addresses.
    fn upstreams(&self, sample: &str) -> String {
        let sample = sample.replace("127.0.0.1:8080", &self.server.addr.to_string());
        sample.replace("127.0.0.1:8081", &self.admin.local_addr().unwrap().to_string())
    }

    /// API with streams and long polls, and console work; nothing else of the admin listener is exposed.
    async fn proves(&self, api: &str, console: &str, outside: &str) {
        // Installs the TLS provider.
        support::http_client();
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_danger_accept_invalid_certs(true)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .unwrap();
        let created = client
            .post(format!("{api}/v1/verifications"))
            .bearer_auth(KEY)
            .header("content-type", "application/json")
            .body(r#"{"to": "+12025550101"}"#)
            .send()
            .await
            .unwrap();
        assert_eq!(created.status(), 201);
        let created: Value = serde_json::from_slice(&created.bytes().await.unwrap()).unwrap();
        let id = created["id"].as_str().unwrap();
        let mut stream = client
            .get(format!("{api}/v1/verifications/{id}/stream"))
            .bearer_auth(KEY)
            .header("accept-encoding", "gzip")
            .send()
            .await
            .unwrap();
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        // The verification waits for its deadline, so no later event pushes this one out of a buffer.
        let mut text = String::new();
        let first = async {
            while !text.contains("event: verification") {
                text.push_str(&String::from_utf8_lossy(&stream.chunk().await.unwrap().expect("it goes on")));
            }
        };
        tokio::time::timeout(Duration::from_secs(10), first).await.expect("an event is passed on at once");
        let large = "x".repeat(2 * 1024 * 1024);
        let webhook = client.post(format!("{api}/webhooks/whatsapp")).body(large).send().await.unwrap();
        assert_eq!(webhook.status(), 401, "a webhook of 2 MiB reaches twotick, which finds it unsigned");

        for path in ["/metrics", "/alerts", "/docs", "/operator/dump", "/openapi.json"] {
            let hidden = client.get(format!("{console}{path}")).send().await.unwrap();
            assert_eq!(hidden.status(), 404, "{path}");
        }
        let admin = self.admin.try_clone().unwrap();
        let asked = std::thread::spawn(move || head_of_one(&admin));
        let page = client.get(format!("{console}/console")).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let head = asked.join().unwrap().to_ascii_lowercase();
        let host = console.split("://").nth(1).unwrap();
        assert!(head.starts_with("get /console http/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "{head}");
        assert!(head.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"), "{head}");
        let root = client.get(format!("{console}/")).send().await.unwrap();
        let location = root.headers()["location"].to_str().unwrap();
        assert!(root.status() == 302 && location.ends_with("/console"), "{location}");
        let stranger = client.get(format!("{outside}/console")).send().await.unwrap();
        assert_eq!(stranger.status(), 403, "whoever is outside sees nothing of the console");
    }
}

/// Answers one request with an empty body; returns its head.
fn head_of_one(listener: &std::net::TcpListener) -> String {
    use std::io::{Read, Write};

    let (mut connection, _) = listener.accept().unwrap();
    let mut head = Vec::new();
    let mut bytes = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let count = connection.read(&mut bytes).unwrap();
        assert!(count > 0, "the head has an end");
        head.extend_from_slice(&bytes[..count]);
    }
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    String::from_utf8(head).unwrap()
}
