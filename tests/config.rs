//! The configuration as users meet it: the real binary, real files, a separate environment.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use twotick::access::{CustomCode, Role};
use twotick::channel::{Settings, http_sms, twilio};
use twotick::config::{Config, DEFAULT_FILE, Environment, MasterKey, Origin, Source, StepContent};
use twotick::verification::values::AppName;

/// Small, complete and valid. Each row of the table below breaks it in one place.
const GOOD: &str = r#"[server]
listen = "127.0.0.1:8080"
public_url = "https://otp.example.com"

[keys]
master = { env = "MASTER" }

[console]
public_url = "https://console.example.com"
time_zone = "Europe/Berlin"

[[console.users]]
name = "ada"
role = "operator"
password_hash = { env = "ADA_HASH" }
language = "de"

[[console.users]]
name = "bob"
role = "viewer"
password_hash = { env = "BOB_HASH" }

[[apps]]
name = "shop"
api_keys = [{ env = "SHOP_KEY" }]

[[apps]]
name = "bank"
api_keys = [{ env = "BANK_KEY" }, "CANARY-bank-key-1234"]

[channels.whatsapp]
kind = "meta"
phone_number_id = "106540352242922"
business_account_id = "102290129340398"
access_token = { env = "WHATSAPP_ACCESS_TOKEN" }
app_secrets = [{ env = "META_APP_SECRET" }]
verify_token = { env = "META_VERIFY_TOKEN" }
timeout = "10s"

[channels.sms]
kind = "http"
url = "https://sms.example.com/send"
from = "Acme"
bearer = { file = "sms.token" }
report_secret = { env = "SMS_REPORT_SECRET" }

[profiles.login]
brand = "Acme"
code_length = 6
code_ttl = "10m"
resend_after = ["30s", "60s"]
default_locale = "en"
steps = [
  { channel = "whatsapp", template = "login_code", deliver_within = "30s" },
  { channel = "sms", text = "otp" },
]

[templates.login_code]
locales = { en = "en_US", de = "de" }
button = "copy_code"

[texts.otp]
en = "{code} is your {brand} code. It expires in {minutes} minutes."
de = "{code} ist Ihr Code."
"#;

/// 32 zero bytes; all other secrets are canaries that must not be printed.
const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Hash of an unknown password.
const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$CANARYCANARYCANARYCANARY$CANARYCANARYCANARYCANARYCANARYCANARYCANARYA";

const SECRETS: [(&str, &str); 10] = [
    ("MASTER", MASTER),
    ("ADA_HASH", HASH),
    ("BOB_HASH", HASH),
    ("SHOP_KEY", "CANARY-shop-key-1234"),
    ("BANK_KEY", "CANARY-bank-key-5678"),
    ("WHATSAPP_ACCESS_TOKEN", "CANARY-access-token"),
    ("META_APP_SECRET", "CANARY-app-secret-1234"),
    ("META_VERIFY_TOKEN", "CANARY-verify"),
    ("SMS_REPORT_SECRET", "CANARY-report-secret"),
    ("UNUSED", "CANARY-unused"),
];

/// A working directory for the binary, with the file that has the carrier's token.
struct Place {
    folder: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sms.token"), "CANARY-sms-token\n").unwrap();
        let variables = SECRETS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { folder, variables: BTreeMap::from(variables) }
    }

    fn with(text: &str) -> Self {
        let place = Self::new();
        place.write("config.toml", text);
        place
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), content).unwrap();
    }

    fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_twotick"))
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(&self.variables)
            .output()
            .unwrap()
    }

    /// Output of `config show` for one key.
    fn shown(&self, key: &str, arguments: &[&str]) -> String {
        let output = self.run(&[&["config", "show"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let shown = stdout(&output);
        let start = format!("{key} = ");
        let line = shown.lines().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{key} in:\n{shown}")).to_owned()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Expected location of a problem.
enum At {
    /// The line of `config.toml` that contains this.
    Line(&'static str),
    Variable(&'static str),
    Flag,
}

use At::{Flag, Line, Variable};

/// An invalid configuration: `GOOD` with `from` replaced by `to`, and additional variables.
struct Wrong {
    from: &'static str,
    to: &'static str,
    variables: &'static [(&'static str, &'static str)],
    flags: &'static [&'static str],
    at: At,
    key: &'static str,
    says: &'static [&'static str],
}

const fn file(
    from: &'static str,
    to: &'static str,
    at: &'static str,
    key: &'static str,
    says: &'static [&'static str],
) -> Wrong {
    Wrong { from, to, variables: &[], flags: &[], at: Line(at), key, says }
}

const fn variable(
    variables: &'static [(&'static str, &'static str)],
    at: At,
    key: &'static str,
    says: &'static [&'static str],
) -> Wrong {
    Wrong { from: "", to: "", variables, flags: &[], at, key, says }
}

const fn flag(flags: &'static [&'static str], key: &'static str, says: &'static [&'static str]) -> Wrong {
    Wrong { from: "", to: "", variables: &[], flags, at: Flag, key, says }
}

#[rustfmt::skip]
const WRONG: &[Wrong] = &[
    // Unknown keys, with the nearest known one.
    file("listen =", "listn =", "listn =", "server.listn", &["unknown key; allowed here: listen, admin_listen, public_url", "did you mean \"listen\"?"]),
    file("[server]", "[sever]", "[sever]", "sever", &["unknown key", "server, store, keys, retention, console, apps, channels, profiles, templates, texts", "did you mean \"server\"?"]),
    file("[server]", "colour = \"CANARY\"\n[server]", "colour =", "colour", &["unknown key"]),
    file("[server]", "[retention]\ntimeline = \"30d\"\n[server]", "timeline =", "retention.timeline", &["did you mean \"timelines\"?"]),
    file("[keys]", "[store]\ndir = \"x\"\n[keys]", "dir =", "store.dir", &["allowed here: backend, path, alarm_gib"]),
    file("name = \"bank\"", "name = \"bank\"\napi_key = \"CANARY\"", "api_key =", "apps[1].api_key", &["did you mean \"api_keys\"?"]),
    file("timeout = \"10s\"", "time_out = \"10s\"", "time_out", "channels.whatsapp.time_out", &["did you mean \"timeout\"?"]),
    file("from = \"Acme\"", "from = \"Acme\"\nverify_token = \"CANARY-v\"", "verify_token = \"C", "channels.sms.verify_token", &["unknown key", "kind", "report_secret"]),
    file("code_length = 6", "code_lenght = 6", "code_lenght", "profiles.login.code_lenght", &["did you mean \"code_length\"?"]),
    file("text = \"otp\" }", "text = \"otp\", deliverwithin = \"9s\" }", "deliverwithin", "profiles.login.steps[1].deliverwithin", &["did you mean \"deliver_within\"?"]),
    file("button = \"copy_code\"", "button = \"copy_code\"\nname = \"x\"", "name = \"x\"", "templates.login_code.name", &["allowed here: locales, button"]),
    file("{ env = \"MASTER\" }", "{ evn = \"MASTER\" }", "evn", "keys.master", &["{ env = \"NAME\" }", "did you mean \"env\"?"]),

    // Missing keys.
    file("[[apps]]\nname = \"bank\"", "[[apps]] # the second", "# the second", "apps[1].name", &["missing", "1 to 64"]),
    file("kind = \"http\"\n", "", "[channels.sms]", "channels.sms.kind", &["missing", "\"meta\" or \"http\""]),
    file("url = \"https://sms.example.com/send\"\n", "", "[channels.sms]", "channels.sms.url", &["missing", "http or https"]),
    file("report_secret = { env = \"SMS_REPORT_SECRET\" }\n", "", "[channels.sms]", "channels.sms.report_secret", &["missing", "a secret"]),
    file("app_secrets = [{ env = \"META_APP_SECRET\" }]\n", "", "[channels.whatsapp]", "channels.whatsapp.app_secrets", &["missing", "1 to 16 secrets"]),
    file("brand = \"Acme\"\n", "", "[profiles.login]", "profiles.login.brand", &["missing"]),
    file("button = \"copy_code\"\n", "", "[templates.login_code]", "templates.login_code.button", &["missing", "copy_code", "one_tap", "zero_tap"]),

    // Wrong types.
    file("listen = \"127.0.0.1:8080\"", "listen = 8080", "listen = 8080", "server.listen", &["IP address and a port", "not a number"]),
    file("code_length = 6", "code_length = \"6\"", "code_length", "profiles.login.code_length", &["whole number from 6 to 10", "not text"]),
    file("code_length = 6", "code_length = 6.5", "code_length", "profiles.login.code_length", &["whole number", "not a number with a point"]),
    file("code_length = 6", "code_length = 6\nallow_custom_code = \"yes\"", "allow_custom", "profiles.login.allow_custom_code", &["true or false", "not text"]),
    file("\"10m\"", "600", "code_ttl", "profiles.login.code_ttl", &["\"30s\" to \"10m\"", "not a number"]),
    file("\"10m\"", "1979-05-27", "code_ttl", "profiles.login.code_ttl", &["a duration", "not a date"]),
    file("[{ env = \"SHOP_KEY\" }]", "\"CANARY-shop-key-1234\"", "api_keys = \"C", "apps[0].api_keys", &["a list of 1 to 16 secrets", "not text"]),
    file("{ env = \"WHATSAPP_ACCESS_TOKEN\" }", "[\"CANARY\"]", "access_token", "channels.whatsapp.access_token", &["a secret", "not a list"]),
    file("[\"30s\", \"60s\"]", "\"30s\"", "resend_after", "profiles.login.resend_after", &["a list of 0 to 10 durations", "not text"]),
    file("[keys]\n", "[store]\nbackend = true\n[keys]\n", "backend", "store.backend", &["\"sled\"", "not true or false"]),
    file("[keys]\nmaster = { env = \"MASTER\" }", "[keys]\nmaster = 123", "master = 123", "keys.master", &["a secret", "not a number"]),
    file("\"106540352242922\"", "106540352242922", "phone_number_id", "channels.whatsapp.phone_number_id", &["digits", "in quotes", "not a number"]),

    // Out of range or malformed.
    file("\"127.0.0.1:8080\"", "\"localhost\"", "listen", "server.listen", &["\"127.0.0.1:8080\""]),
    file("listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:8080\"\nadmin_listen = \"127.0.0.1:8080\"", "admin_listen", "server.admin_listen", &["must differ from listen"]),
    file("listen = \"127.0.0.1:8080\"", "listen = \"0.0.0.0:8081\"", "[server]", "server.admin_listen", &["must differ from listen"]),
    file("https://otp.example.com", "http://otp.example.com", "public_url", "server.public_url", &["https", "loopback"]),
    file("https://otp.example.com", "https://user:CANARY@otp.example.com", "public_url", "server.public_url", &["without user, password"]),
    file("https://otp.example.com", "otp.example.com", "public_url", "server.public_url", &["an https address"]),
    file("[keys]", "[store]\nbackend = \"postgres\"\n[keys]", "backend", "store.backend", &["must be \"sled\"", "\"postgres\" comes later"]),
    file("[keys]", "[store]\nalarm_gib = 0\n[keys]", "alarm_gib", "store.alarm_gib", &["1 to 100000"]),
    file("[keys]", "[store]\npath = \"\"\n[keys]", "path =", "store.path", &["a path"]),
    file("[keys]", "[retention]\npersonal = \"12h\"\n[keys]", "personal", "retention.personal", &["\"1d\" to \"3650d\""]),
    file("[keys]", "[retention]\npersonal = \"31d\"\ntimelines = \"30d\"\n[keys]", "timelines", "retention.timelines", &["at least as long as personal"]),
    file("[keys]", "[retention]\naudit = \"0d\"\n[keys]", "audit", "retention.audit", &["\"1d\" to \"3650d\""]),
    file("name = \"bank\"", "name = \"shop\" # again", "# again", "apps[1].name", &["another app has this name"]),
    file("name = \"bank\"", "name = \"the bank\"", "the bank", "apps[1].name", &["A-Z, a-z, 0-9"]),
    file("kind = \"http\"", "kind = \"htpp\"", "htpp", "channels.sms.kind", &["\"meta\" or \"http\"", "did you mean \"http\"?"]),
    file("kind = \"http\"", "kind = \"http\"\nid_pointer = \"id\"", "id_pointer", "channels.sms.id_pointer", &["JSON pointer", "\"/id\""]),
    file("kind = \"http\"", "kind = \"http\"\nin_doubt_wait = \"6m\"", "in_doubt_wait", "channels.sms.in_doubt_wait", &["\"0s\" to \"5m\""]),
    file("kind = \"http\"", "kind = \"http\"\non_doubt = \"resend\"", "on_doubt", "channels.sms.on_doubt", &["\"resend_once\" or \"hold\"", "did you mean \"resend_once\"?"]),
    file("kind = \"http\"", "kind = \"http\"\ntimeout = \"2s\"\nconnect_timeout = \"3s\"", "connect_timeout", "channels.sms.connect_timeout", &["not be longer than timeout"]),
    file("https://sms.example.com/send", "ftp://sms.example.com/send", "ftp", "channels.sms.url", &["http or https"]),
    file("timeout = \"10s\"", "timeout = \"50ms\"", "timeout", "channels.whatsapp.timeout", &["\"100ms\" to \"1m\""]),
    file("timeout = \"10s\"", "timeout = \"ten seconds\"", "timeout", "channels.whatsapp.timeout", &["a whole number and one of ms, s, m, h, d"]),
    file("timeout = \"10s\"", "messages_per_second = 0", "messages_per", "channels.whatsapp.messages_per_second", &["1 to 1000"]),
    file("timeout = \"10s\"", "messages_per_second = 99999999999999999999", "messages_per", "channels.whatsapp.messages_per_second", &["1 to 1000"]),
    file("timeout = \"10s\"", "graph_version = \"25\"", "graph_version", "channels.whatsapp.graph_version", &["\"v25.0\""]),
    file("timeout = \"10s\"", "graph_url = \"graph.facebook.com\"", "graph_url", "channels.whatsapp.graph_url", &["http or https"]),
    file("\"106540352242922\"", "\"+4915228817386\"", "phone_number_id", "channels.whatsapp.phone_number_id", &["1 to 32 digits"]),
    file("code_length = 6", "code_length = 5", "code_length", "profiles.login.code_length", &["6 to 10"]),
    file("code_length = 6", "code_length = 6\nmax_checks = 11", "max_checks", "profiles.login.max_checks", &["1 to 10"]),
    file("\"10m\"", "\"11m\"", "code_ttl", "profiles.login.code_ttl", &["\"30s\" to \"10m\""]),
    file("[\"30s\", \"60s\"]", "[\"30s\", \"60\"]", "resend_after", "profiles.login.resend_after[1]", &["a duration"]),
    file("[\"30s\", \"60s\"]", "[\"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\"]", "resend_after", "profiles.login.resend_after", &["0 to 10"]),
    file("\"copy_code\"", "\"copy-code\"", "copy-code", "templates.login_code.button", &["\"copy_code\" or \"one_tap\" or \"zero_tap\"", "did you mean \"copy_code\"?"]),
    file("en = \"en_US\"", "en = \"en US\"", "en US", "templates.login_code.locales.en", &["language code", "\"en_US\""]),
    file("[channels.sms]", "[channels.Voice]\nkind = \"http\"\nurl = \"https://a.example\"\nfrom = \"x\"\nbearer = \"CANARY\"\nreport_secret = \"CANARY-report-secret\"\n[channels.sms]", "[channels.Voice]", "channels.Voice", &["1 to 32 of a-z, 0-9"]),
    file("[texts.otp]", "[texts.\"one time\"]\nen = \"{code}\"\n[texts.otp]", "one time", "texts.one time", &["the name must be"]),

    // Secrets.
    file("\"CANARY-bank-key-1234\"", "\"CANARY-short\"", "CANARY-short", "apps[1].api_keys[1]", &["at least 16 bytes"]),
    file("\"CANARY-bank-key-1234\"", "\"CANARY with spaces 1234\"", "with spaces", "apps[1].api_keys[1]", &["without spaces"]),
    file("\"CANARY-bank-key-1234\"", "\"CANARY-shop-key-1234\"", "CANARY-shop", "apps[1].api_keys[1]", &["the same key as one of app \"shop\""]),
    file("[{ env = \"SHOP_KEY\" }]", "[]", "api_keys = []", "apps[0].api_keys", &["1 to 16 secrets"]),
    file("{ env = \"SHOP_KEY\" }", "{ env = \"SHOP_KEI\" }", "SHOP_KEI", "apps[0].api_keys[0]", &["environment variable SHOP_KEI is not set"]),
    file("{ env = \"SHOP_KEY\" }", "{ env = \"EAAG.CANARY.token\" }", "EAAG", "apps[0].api_keys[0]", &["name of an environment variable"]),
    file("{ env = \"SHOP_KEY\" }", "{ env = \"SHOP_KEY\", file = \"CANARY\" }", "SHOP_KEY", "apps[0].api_keys[0]", &["{ env = \"NAME\" } or { file = \"path\" }"]),
    file("{ env = \"SHOP_KEY\" }", "{ \"CANARY\" = \"SHOP_KEY\" }", "SHOP_KEY", "apps[0].api_keys[0]", &["{ env = \"NAME\" }"]),
    file("sms.token", "missing.token", "missing.token", "channels.sms.bearer", &["file missing.token cannot be read"]),
    file("sms.token", "empty.token", "empty.token", "channels.sms.bearer", &["not empty", "file empty.token is not"]),
    file("sms.token", "large.token", "large.token", "channels.sms.bearer", &["more than 64 KiB"]),
    file("{ env = \"META_VERIFY_TOKEN\" }", "\"CANARY\"", "verify_token", "channels.whatsapp.verify_token", &["at least 8 bytes"]),
    file("{ env = \"META_APP_SECRET\" }", "\"CANARY-15-bytes\"", "app_secrets", "channels.whatsapp.app_secrets[0]", &["at least 16 bytes"]),
    file("{ env = \"SMS_REPORT_SECRET\" }", "\"\"", "report_secret", "channels.sms.report_secret", &["at least 16 bytes"]),
    file("{ env = \"MASTER\" }", "\"CANARYCANARYCANARY\"", "master", "keys.master", &["32 bytes in base64"]),
    file("{ env = \"MASTER\" }", "{ file = \"sms.token\" }", "master", "keys.master", &["file sms.token must be 32 bytes in base64"]),
    variable(&[("WHATSAPP_ACCESS_TOKEN", "")], Line("access_token"), "channels.whatsapp.access_token", &["not empty", "environment variable WHATSAPP_ACCESS_TOKEN is not"]),
    // The same rules for every source of a secret.
    file("sms.token", "blank.token", "blank.token", "channels.sms.bearer", &["of file blank.token begins or ends with a blank"]),
    file("\"CANARY-bank-key-1234\"", "\"CANARY-bank-key-1234 \"", "1234 ", "apps[1].api_keys[1]", &["the secret begins or ends with a blank"]),
    variable(&[("META_APP_SECRET", " CANARY-app-secret-1234")], Line("app_secrets"), "channels.whatsapp.app_secrets[0]", &["of env META_APP_SECRET begins or ends with a blank"]),
    variable(&[("META_APP_SECRET", "CANARY-app-secret-1234\t\n")], Line("app_secrets"), "channels.whatsapp.app_secrets[0]", &["begins or ends with a blank"]),
    variable(&[("SMS_REPORT_SECRET", "CANARY-report-secret ")], Line("report_secret"), "channels.sms.report_secret", &["begins or ends with a blank"]),
    variable(&[("META_VERIFY_TOKEN", "\u{feff}CANARY-verify")], Line("verify_token"), "channels.whatsapp.verify_token", &["begins or ends with a blank"]),
    variable(&[("WHATSAPP_ACCESS_TOKEN", "CANARY-access-token\u{a0}")], Line("access_token"), "channels.whatsapp.access_token", &["begins or ends with a blank"]),
    variable(&[("BOB_HASH", " CANARY")], Line("BOB_HASH"), "console.users[1].password_hash", &["begins or ends with a blank"]),
    variable(&[("MASTER", " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")], Line("master"), "keys.master", &["environment variable MASTER begins or ends with a blank"]),
    variable(&[("SHOP_KEY", "CANARY")], Line("SHOP_KEY"), "apps[0].api_keys[0]", &["at least 16 bytes", "environment variable SHOP_KEY is not"]),

    // The console.
    file("time_zone =", "timezone =", "timezone =", "console.timezone", &["unknown key", "did you mean \"time_zone\"?"]),
    file("\"Europe/Berlin\"", "\"Mars/Olympus\"", "time_zone", "console.time_zone", &["name of a time zone", "Europe/Berlin"]),
    file("\"Europe/Berlin\"", "\"Europe/Berlin\"\nhome_country = \"de\"", "home_country", "console.home_country", &["two-letter code", "did you mean \"DE\"?"]),
    file("\"Europe/Berlin\"", "\"Europe/Berlin\"\nhome_country = \"UK\"", "home_country", "console.home_country", &["did you mean \"GB\"?"]),
    file("\"Europe/Berlin\"", "\"Europe/Berlin\"\nhome_country = \"49\"", "home_country", "console.home_country", &["two-letter code"]),
    file("\"Europe/Berlin\"", "\"Europe/Berlin\"\nhomecountry = \"DE\"", "homecountry", "console.homecountry", &["unknown key", "did you mean \"home_country\"?"]),
    file("\"https://console.example.com\"", "\"http://console.example.com\"", "http://console", "console.public_url", &["https address"]),
    file("name = \"ada\"", "name = \"Ada Lovelace\"", "Ada Lovelace", "console.users[0].name", &["1 to 64 of a-z"]),
    file("name = \"bob\"", "name = \"ada\"", "ada\"\nrole = \"viewer\"", "console.users[1].name", &["another user has this name"]),
    file("role = \"operator\"", "role = \"admin\"", "role = \"admin\"", "console.users[0].role", &["\"viewer\" or \"support\" or \"operator\""]),
    file("role = \"operator\"\n", "", "[[console.users]]", "console.users[0].role", &["missing"]),
    file("password_hash = { env = \"ADA_HASH\" }\nlanguage", "password = \"CANARY\"\npassword_hash = { env = \"ADA_HASH\" }\nlanguage", "password = ", "console.users[0].password", &["unknown key", "did you mean \"password_hash\"?"]),
    file("{ env = \"ADA_HASH\" }\nlanguage", "\"CANARY-password\"\nlanguage", "CANARY-password", "console.users[0].password_hash", &["argon2id hash", "twotick user hash"]),
    file("{ env = \"ADA_HASH\" }\nlanguage", "\"$2b$12$CANARYCANARYCANARYCANARY\"\nlanguage", "$2b$", "console.users[0].password_hash", &["argon2id hash"]),
    file("{ env = \"ADA_HASH\" }\nlanguage", "\"$argon2i$v=19$m=19456,t=2,p=1$CANARYCANARYCANARYCANARY$CANARYCANARYCANARYCANARYCANARYCANARYCANARYA\"\nlanguage", "$argon2i$", "console.users[0].password_hash", &["argon2id hash"]),
    file("{ env = \"ADA_HASH\" }\nlanguage", "\"$argon2id$v=19$m=19456,t=2,p=1$CANARYCANARYCANARYCANARY\"\nlanguage", "$argon2id$", "console.users[0].password_hash", &["argon2id hash"]),
    variable(&[("ADA_HASH", "CANARY")], Line("ADA_HASH"), "console.users[0].password_hash", &["argon2id hash"]),
    file("language = \"de\"", "language = \"fr\"", "language = \"fr\"", "console.users[0].language", &["\"en\" or \"de\""]),
    file("language = \"de\"", "apps = [\"shop\", \"harbour\"]", "harbour", "console.users[0].apps[1]", &["the name of one of [[apps]]"]),
    file("language = \"de\"", "apps = []", "apps = []", "console.users[0].apps", &["1 to 1000 names"]),

    // Rules between sections.
    file("channel = \"sms\"", "channel = \"smss\"", "smss", "profiles.login.steps[1].channel", &["one of [channels]: sms, whatsapp", "did you mean \"sms\"?"]),
    file("template = \"login_code\"", "template = \"login\"", "template = \"login\"", "profiles.login.steps[0].template", &["one of [templates]: login_code"]),
    file("text = \"otp\"", "text = \"opt\"", "\"opt\"", "profiles.login.steps[1].text", &["one of [texts]: otp", "did you mean \"otp\"?"]),
    file("template = \"login_code\"", "text = \"otp\", template = \"login_code\"", "login_code\", d", "profiles.login.steps[0].text", &["kind \"meta\"", "sends a template"]),
    file("text = \"otp\"", "text = \"otp\", template = \"login_code\"", "\"otp\", t", "profiles.login.steps[1].template", &["kind \"http\"", "sends a text"]),
    file(", text = \"otp\"", "", "\"sms\" }", "profiles.login.steps[1]", &["text is missing"]),
    file("template = \"login_code\", ", "", "deliver_within", "profiles.login.steps[0]", &["template is missing"]),
    file(", deliver_within = \"30s\"", "", "login_code\" }", "profiles.login.steps[0].deliver_within", &["missing", "only the last step"]),
    file("text = \"otp\" }", "text = \"otp\", deliver_within = \"9s\" }", "9s", "profiles.login.steps[1].deliver_within", &["not allowed on the last step"]),
    file("deliver_within = \"30s\" },", "deliver_within = \"6m\" },\n  { channel = \"sms\", text = \"otp\", deliver_within = \"5m\" },", "steps = [", "profiles.login.steps", &["add up to 11m", "must not exceed code_ttl, 10m"]),
    file("en = \"en_US\"", "DE = \"de\", en = \"en_US\"", "DE =", "templates.login_code.locales.de", &["same locale as DE"]),
    file("{ en = \"en_US\"", "{ nl = \"nl\"", "default_locale", "profiles.login.default_locale", &["template \"login_code\" has too: de, nl"]),
    file("en = \"{code} is", "nl = \"{code} is", "default_locale", "profiles.login.default_locale", &["text \"otp\" has too: de, nl"]),
    file("{code} ist Ihr Code.", "Ihr Code.", "Ihr Code.", "texts.otp.de", &["contains {code}"]),
    file("{code} ist Ihr Code.", "{code} ist Ihr {Brand}-Code.", "{Brand}", "texts.otp.de", &["unknown placeholder {Brand}", "{code}, {brand}, {minutes}", "did you mean \"{brand}\"?"]),
    file("{code} ist Ihr Code.", "{code} ist {Ihr Code.", "{Ihr", "texts.otp.de", &["a single brace"]),

    // Invalid TOML: line and reason, without quoting the line.
    file("{ env = \"WHATSAPP_ACCESS_TOKEN\" }", "CANARY-unquoted", "access_token", "", &["not valid TOML"]),
    file("{ env = \"WHATSAPP_ACCESS_TOKEN\" }", "\"CANARY-unclosed", "access_token", "", &["not valid TOML"]),
    file("brand = \"Acme\"", "brand = \"Acme\"\nbrand = \"CANARY\"", "\"CANARY\"", "brand", &["duplicate key"]),
    file("[templates.login_code]", "[profiles.login]\n[templates.login_code]", "[profiles.login]\n[templates", "login", &["duplicate key"]),

    // Environment and flags.
    variable(&[("TWOTICK__SERVER__LISTN", "CANARY")], Variable("TWOTICK__SERVER__LISTN"), "server.listn", &["unknown key", "did you mean \"listen\"?"]),
    variable(&[("TWOTICK__CHANNELS__WHATSAPP__TIMEOUT", "5")], Variable("TWOTICK__CHANNELS__WHATSAPP__TIMEOUT"), "channels.whatsapp.timeout", &["a duration"]),
    variable(&[("TWOTICK__PROFILES__LOGIN__CODE_LENGTH", "many")], Variable("TWOTICK__PROFILES__LOGIN__CODE_LENGTH"), "profiles.login.code_length", &["6 to 10"]),
    variable(&[("TWOTICK__APPS__0__NAME", "CANARY")], Variable("TWOTICK__APPS__0__NAME"), "", &["apps is a list", "set whole"]),
    variable(&[("TWOTICK__SERVER__LISTEN__PORT", "80")], Variable("TWOTICK__SERVER__LISTEN__PORT"), "", &["listen is a single value"]),
    variable(&[("TWOTICK__CHANNELS__SMS__BEARER", "CANARY two words")], Variable("TWOTICK__CHANNELS__SMS__BEARER"), "channels.sms.bearer", &["without spaces"]),
    flag(&["--set", "server.max_connections=10"], "server.max_connections", &["100 to 1000000"]),
    flag(&["--set", "profiles.login.max_checks=0"], "profiles.login.max_checks", &["1 to 10"]),
    flag(&["--set", "profile.login.brand=CANARY"], "profile", &["unknown key", "did you mean \"profiles\"?"]),
];

#[test]
fn each_invalid_configuration_is_reported_with_location_and_without_secrets() {
    let mut failures = Vec::new();
    for (row, wrong) in WRONG.iter().enumerate() {
        assert!(GOOD.contains(wrong.from), "row {row}: {} is not in the good file", wrong.from);
        let text = GOOD.replacen(wrong.from, wrong.to, 1);
        let mut place = Place::with(&text);
        place.write("empty.token", "\n");
        place.write("blank.token", "CANARY-sms-token \n");
        place.write("large.token", "CANARY".repeat(20_000));
        for (name, value) in wrong.variables {
            place.set(name, value);
        }
        let output = place.run(&[&["config", "check"], wrong.flags].concat());
        if let Err(failure) = refused(wrong, &text, &output) {
            failures.push(format!("row {row}, {} for {}: {failure}", wrong.to, wrong.from));
        }
    }
    println!("{} wrong configurations", WRONG.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn refused(wrong: &Wrong, text: &str, output: &Output) -> Result<(), String> {
    let (stdout, stderr) = (stdout(output), stderr(output));
    if output.status.code() != Some(2) || !stdout.is_empty() {
        return Err(format!("{:?}, stdout {stdout}, stderr {stderr}", output.status));
    }
    if stderr.contains("CANARY") || stderr.contains(MASTER) {
        return Err(format!("shows a secret: {stderr}"));
    }
    let place = match wrong.at {
        Line(part) => {
            let offset = text.find(part).ok_or(format!("{part} is not in the file"))?;
            format!("config.toml:{}: ", text[..offset].lines().count().max(1) + starts_line(text, offset))
        }
        Variable(name) => format!("environment variable {name}: "),
        Flag => "flag: ".to_owned(),
    };
    let start = if wrong.key.is_empty() { place } else { format!("{place}{}: ", wrong.key) };
    let said = |line: &str| line.starts_with(&start) && wrong.says.iter().all(|part| line.contains(part));
    match stderr.lines().collect::<Vec<_>>()[..] {
        [line] if said(line) => Ok(()),
        _ => Err(format!("wanted only {start}{:?}, got\n{stderr}", wrong.says)),
    }
}

/// `lines()` of the text before an offset includes its line unless the offset starts one.
fn starts_line(text: &str, offset: usize) -> usize {
    usize::from(offset > 0 && text.as_bytes()[offset - 1] == b'\n')
}

#[test]
fn all_problems_of_a_file_are_printed_at_once_in_the_order_of_its_lines() {
    let text = GOOD
        .replace("listen =", "listn =")
        .replace("name = \"bank\"\n", "")
        .replace("kind = \"http\"", "kind = \"pigeon\"")
        .replace("code_length = 6", "code_length = 60")
        .replace("channel = \"whatsapp\"", "channel = \"telegram\"")
        .replace("\"copy_code\"", "7")
        .replace("{code} ist Ihr Code.", "nichts");
    let mut place = Place::with(&text);
    place.set("TWOTICK__STORE__PATH", "").set("META_APP_SECRET", "CANARY");
    let output = place.run(&["config", "check", "--set", "server.x=1"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = stderr(&output);
    let keys: Vec<&str> = stderr.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    let expected = [
        "server.listn",
        "apps[1].name",
        "channels.whatsapp.app_secrets[0]",
        "channels.sms.kind",
        "profiles.login.code_length",
        "profiles.login.steps[0].channel",
        "templates.login_code.button",
        "texts.otp.de",
        "store.path",
        "server.x",
    ];
    assert_eq!(keys, expected, "{stderr}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let place = Place::new();
    let output = place.run(&["--config", "nowhere.toml", "config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("nowhere.toml: cannot be read: "), "{}", stderr(&output));

    place.write("latin.toml", b"[server]\nlisten = \"\xe4\"\n");
    let output = place.run(&["--config", "latin.toml", "config", "check"]);
    assert_eq!(stderr(&output), "latin.toml:2: is not valid UTF-8\n");

    place.write("large.toml", "#".repeat(1024 * 1024 + 1));
    let output = place.run(&["--config", "large.toml", "config", "check"]);
    assert_eq!(stderr(&output), "large.toml: is larger than 1 MiB\n");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_empty_file_is_reported_with_all_required_keys() {
    let output = Place::with("").run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = stderr(&output);
    for key in ["apps", "channels", "profiles"] {
        assert!(stderr.contains(&format!("config.toml:1: {key}: missing; must be ")), "{stderr}");
    }
    assert_eq!(stderr.lines().count(), 3, "{stderr}");
}

#[test]
fn hostile_text_does_not_panic_or_control_the_terminal() {
    let place = Place::new();
    let deep = format!("a = {}", "[".repeat(100_000));
    let key = format!("\"{}\\u001b[31m\" = 1\n", "k".repeat(50));
    for (text, wanted) in [
        (deep.as_str(), "not valid TOML"),
        (key.as_str(), "\\u{1b}[31m"),
        ("[a]\n[a.b]\n[[a]]\n[a]\na.b = 1\n", ""),
        ("\u{feff}[server", "not valid TOML"),
        ("a = 1\r\rb", "not valid TOML"),
    ] {
        place.write("config.toml", text);
        let output = place.run(&["config", "check"]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(wanted), "{}", stderr(&output));
        assert!(!stderr(&output).contains('\u{1b}'));
    }
}

#[test]
fn a_valid_file_passes_and_its_secrets_are_not_shown() {
    let place = Place::with(GOOD);
    for arguments in [&["config", "check"][..], &["config", "show"], &["config", "show", "--json"]] {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let all = stdout(&output) + &stderr(&output);
        assert!(!all.is_empty() && !all.contains("CANARY") && !all.contains(MASTER), "{all}");
    }
}

#[test]
fn a_configuration_in_debug_output_keeps_its_secrets() {
    let text = GOOD.replace("{ file = \"sms.token\" }", "\"CANARY-inline\"");
    let environment: Environment = SECRETS.into_iter().collect();
    let config = Config::parse(&text, &environment).unwrap();
    let debug = format!("{config:?} {environment:?}");
    assert!(debug.contains("REDACTED") && !debug.contains("CANARY") && !debug.contains(MASTER), "{debug}");
    let Settings::Http(sms) = &config.channels["sms"].kind else { panic!("sms is of kind http") };
    assert_eq!(bearer(sms).expose_secret(), "CANARY-inline");
}

fn bearer(http: &http_sms::Settings) -> &SecretString {
    let Some(http_sms::Authorization::Bearer(secret)) = &http.authorization else { panic!("{http:?}") };
    secret
}

fn report_secret(http: &http_sms::Settings) -> &SecretString {
    let http_sms::Proof::Hmac(signature) = &http.proof else { panic!("{http:?}") };
    &signature.secret
}

#[test]
fn a_console_has_only_configured_users() {
    let environment: Environment = SECRETS.into_iter().collect();
    let good = GOOD.replace("{ file = \"sms.token\" }", "\"CANARY-inline\"");
    let text = good.replace("language = \"de\"", "apps = [\"bank\"]");
    let console = Config::parse(&text, &environment).unwrap().console;
    assert_eq!((&*console.public_url, &*console.time_zone), ("https://console.example.com", "Europe/Berlin"));
    let [ada, bob] = console.users.as_slice() else { panic!("two users") };
    assert_eq!((ada.name.as_str(), ada.role, ada.language), ("ada", Role::Operator, None));
    assert_eq!(ada.apps.as_ref().unwrap().iter().map(AppName::as_str).collect::<Vec<_>>(), ["bank"]);
    assert_eq!((bob.name.as_str(), bob.role, &bob.apps), ("bob", Role::Viewer, &None));
    assert_eq!(bob.password_hash.expose_secret(), HASH);

    let (before, after) = (good.find("[console]").unwrap(), good.find("[[apps]]").unwrap());
    let without = format!("{}{}", &good[..before], &good[after..]);
    let console = Config::parse(&without, &environment).unwrap().console;
    assert_eq!((&*console.public_url, &*console.time_zone), ("http://127.0.0.1:8081", "UTC"));
    assert!(console.users.is_empty());
}

/// By BCP 47 look-up, like a requested locale.
#[test]
fn a_default_locale_is_looked_up_among_the_texts() {
    for locale in ["EN", "en-GB", "en_gb", "DE-at"] {
        let text = GOOD.replace("default_locale = \"en\"", &format!("default_locale = \"{locale}\""));
        let output = Place::with(&text).run(&["config", "check"]);
        assert_eq!(output.status.code(), Some(0), "{locale}: {}", stderr(&output));
    }
}

#[test]
fn the_commands_hash_is_accepted() {
    let place = Place::new();
    let hash = |password: &[u8]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twotick"));
        command.args(["user", "hash"]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(password).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = hash(b"CANARY correct horse\n");
    assert_eq!(output.status.code(), Some(0));
    assert!(!stderr(&output).contains("CANARY"));
    place.write(
        "config.toml",
        GOOD.replacen("{ env = \"ADA_HASH\" }", &format!("\"{}\"", stdout(&output).trim()), 1),
    );
    assert_eq!(place.run(&["config", "check"]).status.code(), Some(0));
    let short = hash(b"CANARY\n");
    assert_eq!((short.status.code(), &*stdout(&short)), (Some(2), ""));
    assert!(stderr(&short).contains("at least 12 characters"), "{}", stderr(&short));
}

#[test]
fn each_layer_overrides_the_previous_and_show_names_it() {
    let key = "channels.whatsapp.timeout";
    let mut place = Place::with(&GOOD.replace("timeout = \"10s\"\n", ""));
    assert_eq!(place.shown(key, &[]), "\"10s\"   # default");

    place.write("config.toml", GOOD.replace("\"10s\"", "\"11s\""));
    let line = 1 + GOOD.lines().position(|line| line.starts_with("timeout")).unwrap();
    assert_eq!(place.shown(key, &[]), format!("\"11s\"   # config.toml:{line}"));

    place.set("TWOTICK__CHANNELS__WHATSAPP__TIMEOUT", "12s");
    assert_eq!(place.shown(key, &[]), "\"12s\"   # env TWOTICK__CHANNELS__WHATSAPP__TIMEOUT");

    let flags = ["--set", "channels.whatsapp.timeout=13s"];
    assert_eq!(place.shown(key, &flags), "\"13s\"   # flag");
}

#[test]
fn a_variable_sets_any_type_and_missing_tables() {
    let mut place = Place::with(GOOD);
    place
        .set("TWOTICK__PROFILES__LOGIN__MAX_CHECKS", "3")
        .set("TWOTICK__PROFILES__LOGIN__ALLOW_CUSTOM_CODE", "true")
        .set("TWOTICK__PROFILES__LOGIN__RESEND_AFTER", "[\"5s\"]")
        .set("TWOTICK__SERVER__ADMIN_LISTEN", "[::1]:9000")
        .set("TWOTICK__STORE__PATH", "/var/lib/twotick")
        .set("TWOTICK__APPS", "[{ name = \"one\", api_keys = [{ env = \"SHOP_KEY\" }] }]")
        .set("TWOTICK__CHANNELS__SMS__BEARER__ENV", "SMS_REPORT_SECRET")
        .set("TWOTICK__CHANNELS__WHATSAPP__VERIFY_TOKEN", "CANARY-in-variable");
    assert!(place.shown("profiles.login.max_checks", &[]).starts_with("3   # env "));
    assert!(place.shown("profiles.login.allow_custom_code", &[]).starts_with("true   # env "));
    assert!(place.shown("profiles.login.resend_after[0]", &[]).starts_with("\"5s\"   # env "));
    assert!(place.shown("server.admin_listen", &[]).starts_with("\"[::1]:9000\"   # env "));
    assert!(place.shown("store.path", &[]).starts_with("\"/var/lib/twotick\"   # env "));
    assert_eq!(place.shown("apps[0].name", &[]), "\"one\"   # env TWOTICK__APPS");
    assert_eq!(
        place.shown("channels.sms.bearer", &[]),
        "***   # env TWOTICK__CHANNELS__SMS__BEARER__ENV (env SMS_REPORT_SECRET)"
    );
    assert_eq!(
        place.shown("channels.whatsapp.verify_token", &[]),
        "***   # env TWOTICK__CHANNELS__WHATSAPP__VERIFY_TOKEN"
    );
}

#[test]
fn show_names_the_origin_of_secrets() {
    let place = Place::with(GOOD);
    let line = |part: &str| 1 + GOOD.lines().position(|line| line.contains(part)).unwrap();
    let (bearer, token, key) = (line("sms.token"), line("access_token"), line("BANK_KEY"));
    assert_eq!(
        place.shown("channels.sms.bearer", &[]),
        format!("***   # config.toml:{bearer} (file sms.token)")
    );
    assert_eq!(
        place.shown("channels.whatsapp.access_token", &[]),
        format!("***   # config.toml:{token} (env WHATSAPP_ACCESS_TOKEN)")
    );
    assert_eq!(place.shown("apps[1].api_keys[1]", &[]), format!("***   # config.toml:{key}"));

    let output = place.run(&["config", "show", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["file"], "config.toml");
    let values = shown["values"].as_array().unwrap();
    let bearer_shown = values.iter().find(|value| value["key"] == "channels.sms.bearer").unwrap();
    assert_eq!(bearer_shown["value"], "***");
    assert_eq!(bearer_shown["origin"], format!("config.toml:{bearer}"));
    assert_eq!(bearer_shown["secret_from"], "file sms.token");
    let length = values.iter().find(|value| value["key"] == "profiles.login.code_length").unwrap();
    assert_eq!(length["value"], 6);
}

#[test]
fn the_file_is_found_by_flag_then_variable_then_folder() {
    let mut place = Place::with(&GOOD.replace("\"shop\"", "\"folder\""));
    assert!(place.shown("apps[0].name", &[]).starts_with("\"folder\""));
    place.write("variable.toml", GOOD.replace("\"shop\"", "\"variable\""));
    place.set("TWOTICK_CONFIG", "variable.toml");
    assert!(place.shown("apps[0].name", &[]).starts_with("\"variable\""));
    place.write("flag.toml", GOOD.replace("\"shop\"", "\"flag\""));
    assert!(place.shown("apps[0].name", &["--config", "flag.toml"]).starts_with("\"flag\""));
}

/// The variables that the built-in file refers to.
const DEFAULT_VARIABLES: [(&str, &str); 6] = [
    ("TWOTICK_SHOP_KEY", "CANARY-shop-key-1234"),
    ("WHATSAPP_ACCESS_TOKEN", "CANARY-access-token"),
    ("META_APP_SECRET", "CANARY-app-secret-1234"),
    ("META_VERIFY_TOKEN", "CANARY-verify"),
    ("SMS_TOKEN", "CANARY-sms-token"),
    ("SMS_REPORT_SECRET", "CANARY-report-secret"),
];

#[test]
fn the_built_in_file_is_complete() {
    let environment: Environment = DEFAULT_VARIABLES.into_iter().collect();
    let config = Config::parse(DEFAULT_FILE, &environment).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.retention.personal, Duration::from_secs(30 * 86_400));
    assert!(matches!(&config.keys.master, MasterKey::File(path) if path == Path::new("data/master.key")));
    let Settings::Meta(whatsapp) = &config.channels["whatsapp"].kind else { panic!("kind meta") };
    assert_eq!(config.channels["whatsapp"].messages_per_second, Some(80));
    assert_eq!(whatsapp.app_secrets[0].expose_secret(), "CANARY-app-secret-1234");
    let login = &config.profiles["login"];
    assert_eq!((login.code_length, login.max_checks, login.custom_code), (6, 5, CustomCode::Refused));
    assert_eq!(login.resend_after, [30, 60, 120, 300].map(Duration::from_secs));
    assert_eq!(login.steps[0].content, StepContent::Template("login_code".to_owned()));
    assert_eq!(login.steps[0].deliver_within, Some(Duration::from_secs(30)));
    assert_eq!(login.steps[1].content, StepContent::Text("otp".to_owned()));
    assert_eq!(login.steps[1].deliver_within, None);
}

#[test]
fn without_a_file_the_built_in_one_applies() {
    let mut place = Place::new();
    place.variables = DEFAULT_VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(place.shown("apps[0].name", &[]), "\"shop\"   # default");
    assert_eq!(place.shown("channels.sms.bearer", &[]), "***   # default (env SMS_TOKEN)");

    place.variables.remove("SMS_TOKEN");
    let output = place.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    let line = 1 + DEFAULT_FILE.lines().position(|line| line.contains("SMS_TOKEN")).unwrap();
    let place = format!("built-in config.toml:{line}: channels.sms.bearer: environment variable SMS_TOKEN");
    assert!(stderr(&output).starts_with(&place), "{}", stderr(&output));
    assert!(stderr(&output).contains("twotick config init"), "{}", stderr(&output));
}

#[test]
fn the_master_key_file_may_be_missing_and_is_checked_if_present() {
    let place = Place::with(&GOOD.replace("{ env = \"MASTER\" }", "{ file = \"master.key\" }"));
    assert!(place.shown("keys.master", &[]).ends_with("(file master.key)"));
    place.write("master.key", format!("{MASTER}\n"));
    assert!(place.shown("keys.master", &[]).ends_with("(file master.key)"));
    place.write("master.key", &MASTER[4..]);
    assert_eq!(place.run(&["config", "check"]).status.code(), Some(2));

    assert_eq!(
        MasterKey::decode(&format!("{MASTER}\n")).as_deref(),
        Some(&std::array::from_fn(|at| at as u8))
    );
    assert!(MasterKey::decode(&MASTER[4..]).is_none());
    assert!(MasterKey::decode("").is_none());
}

#[test]
fn a_file_needs_only_the_secrets_it_refers_to() {
    let text = r#"
        [[apps]]
        name = "shop"
        api_keys = ["CANARY-shop-key-1234"]
        [channels.carrier]
        kind = "http"
        url = "http://127.0.0.1:9/send"
        from = "Acme"
        bearer = "CANARY"
        report_secret = "CANARY-report-secret"
        timeout = "1s"
        [profiles.signup]
        brand = "Acme"
        steps = [{ channel = "carrier", text = "otp" }]
        [texts.otp]
        en = "{code}"
    "#;
    let environment = Environment::default();
    let config = Config::parse(text, &environment).unwrap();
    assert_eq!(config.channels.len(), 1);
    let carrier = &config.channels["carrier"];
    assert_eq!(carrier.in_doubt_wait, Duration::from_secs(15));
    let Settings::Http(http) = &carrier.kind else { panic!("kind http") };
    assert_eq!(http.id_pointer, "/id");
    // The default of 2 s is lowered to the shorter total.
    assert_eq!(
        (carrier.timeouts.connect, carrier.timeouts.whole),
        (Duration::from_secs(1), Duration::from_secs(1))
    );
    assert_eq!(carrier.messages_per_second, None, "as many as the carrier answers");
    let limited = text.replace("timeout = \"1s\"", "messages_per_second = 5");
    let limited = Config::parse(&limited, &environment).unwrap();
    assert_eq!(limited.channels["carrier"].messages_per_second, Some(5));
    assert_eq!(config.profiles["signup"].code_length, 6);
    assert!(config.templates.is_empty());
}

const TWILIO: &str = r#"
    [[apps]]
    name = "shop"
    api_keys = ["CANARY-shop-key-1234"]
    [channels.carrier]
    kind = "twilio"
    account_sid = "AC0123456789abcdef0123456789abcdef"
    auth_tokens = ["CANARY-token-in-use", "CANARY-token-before"]
    from = "+14155550199"
    via = "sms"
    # more
    [profiles.signup]
    brand = "Acme"
    steps = [{ channel = "carrier", text = "otp" }]
    [texts.otp]
    en = "{code}"
"#;
const BY_ID: &str = "via = \"whatsapp\"\n content_sids = { en = \"HX01\", de = \"HX02\" }";

#[test]
fn twilio_has_its_own_and_the_common_keys() {
    let read = |text: &str| {
        let config = Config::parse(text, &Environment::default());
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let channel = config.channels["carrier"].clone();
        let Settings::Twilio(twilio) = channel.kind.clone() else { panic!("kind twilio") };
        (config.profiles["signup"].steps[0].content.clone(), channel, twilio)
    };
    let (content, channel, settings) = read(TWILIO);
    assert_eq!(content, StepContent::Text("otp".to_owned()));
    assert_eq!(
        (channel.in_doubt_wait, channel.timeouts.whole),
        (Duration::from_secs(15), Duration::from_secs(10))
    );
    assert_eq!((channel.messages_per_second, channel.kind.address()), (None, "https://api.twilio.com"));
    assert_eq!((settings.via, settings.auth_tokens.len()), (twilio::Via::Sms, 2));
    assert!(matches!(settings.sender, twilio::Sender::From(from) if from == "+14155550199"));
    assert!(settings.api_key.is_none() && settings.content_sids.is_none());

    let more = "api_key_sid = \"SK00\"\n api_key_secret = \"CANARY-key\"\n messages_per_second = 5\n \
        base_url = \"http://127.0.0.1:9/\"";
    let pool =
        TWILIO.replace("# more", more).replace("from = \"+14155550199\"", "messaging_service_sid = \"MG00\"");
    let (_, channel, settings) = read(&pool);
    assert_eq!(channel.messages_per_second, Some(5));
    assert_eq!(channel.kind.address(), "http://127.0.0.1:9");
    assert!(matches!(settings.sender, twilio::Sender::MessagingService(sid) if sid == "MG00"));
    assert_eq!(settings.api_key.unwrap().sid, "SK00");

    let by_id = TWILIO.replace("via = \"sms\"", BY_ID).replace(", text = \"otp\"", "");
    let (content, channel, _) = read(&by_id);
    assert_eq!(content, StepContent::ById);
    assert_eq!(channel.kind.contents().unwrap()["de"], "HX02");
}

#[test]
fn unsupported_twilio_settings_are_refused() {
    let by_id = |step: &str| {
        TWILIO
            .replace("via = \"sms\"", BY_ID)
            .replace("steps = [{ channel = \"carrier\", text = \"otp\" }]", step)
    };
    let steps = |rest: &str| format!("steps = [{{ channel = \"carrier\"{rest} }}]");
    for (text, key, says) in [
        (TWILIO.replace("AC0123", "SK0123"), "channels.carrier.account_sid", "AC and 32"),
        (TWILIO.replace("AC0123", "AC/../"), "channels.carrier.account_sid", "AC and 32"),
        (
            TWILIO.replace("via = \"sms\"", "via = \"fax\""),
            "channels.carrier.via",
            "\"sms\" or \"whatsapp\" or \"rcs\"",
        ),
        (TWILIO.replace("via = \"sms\"", ""), "channels.carrier.via", "missing"),
        (TWILIO.replace("from = \"+14155550199\"", ""), "channels.carrier.from", "messaging_service_sid"),
        (
            TWILIO.replace("# more", "messaging_service_sid = \"MG00\""),
            "channels.carrier.messaging_service_sid",
            "together with from",
        ),
        (
            TWILIO
                .replace("from = \"+14155550199\"", "messaging_service_sid = \"MG00\"")
                .replace("via = \"sms\"", "via = \"rcs\""),
            "channels.carrier.messaging_service_sid",
            "fall back to SMS",
        ),
        (TWILIO.replace("\"+1415", "\"whatsapp:+1415"), "channels.carrier.from", "bare"),
        (
            TWILIO.replace("# more", "api_key_sid = \"SK00\""),
            "channels.carrier.api_key_secret",
            "belong together",
        ),
        (
            TWILIO.replace("# more", "api_key_secret = \"CANARY\""),
            "channels.carrier.api_key_sid",
            "belong together",
        ),
        (
            TWILIO.replace("# more", "content_sids = { en = \"HX01\" }"),
            "channels.carrier.content_sids",
            "whatsapp",
        ),
        (by_id(&steps(", text = \"otp\"")), "profiles.signup.steps[0].text", "has its own content"),
        (
            by_id(&steps("")).replace("en = \"HX01\", ", ""),
            "profiles.signup.default_locale",
            "channel \"carrier\"",
        ),
        (by_id(&steps("")).replace("HX01", "SM01"), "channels.carrier.content_sids.en", "HX and 32"),
        (TWILIO.replace(", text = \"otp\"", ""), "profiles.signup.steps[0]", "text is missing"),
    ] {
        let problems = Config::parse(&text, &Environment::default()).expect_err(key).to_string();
        assert!(problems.contains(key) && problems.contains(says), "{key}: {problems}");
        assert!(!problems.contains("CANARY"), "{problems}");
    }
}

#[test]
fn doubtful_settings_are_allowed_with_a_warning() {
    let warned = |text: &str| {
        let output = Place::with(text).run(&["config", "check"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
            .lines()
            .filter(|line| line.starts_with("warning"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(warned(GOOD), [""; 0]);

    let warnings = warned(&GOOD.replace("deliver_within = \"30s\"", "deliver_within = \"29s\""));
    let line = 1 + GOOD.lines().position(|line| line.contains("deliver_within")).unwrap();
    let start = format!("warning  config.toml:{line}: profiles.login.steps[0].deliver_within: WhatsApp");
    assert!(warnings.len() == 1 && warnings[0].starts_with(&start), "{warnings:?}");
    assert!(warnings[0].contains("30 to 900 s"), "{warnings:?}");

    let limits = "[server]\nmax_connections = 800\nmax_waiting_per_app = 701";
    let warnings = warned(&GOOD.replace("[server]", limits));
    assert!(warnings.len() == 1 && warnings[0].contains("the effective limit is 700"), "{warnings:?}");
    assert!(warned(&GOOD.replace("[server]", &limits.replace("701", "700"))).is_empty());

    let warnings = warned(&GOOD.replace("https://sms.", "http://sms."));
    assert!(warnings.len() == 1 && warnings[0].contains("channels.sms.url: is not https"), "{warnings:?}");

    let warnings = warned(&GOOD.replace("bearer = { file = \"sms.token\" }\n", ""));
    assert!(
        warnings.len() == 1 && warnings[0].contains("channels.sms.headers: missing, and so"),
        "{warnings:?}"
    );

    let warnings = warned(&GOOD.replace("\"10m\"", "\"30s\""));
    assert!(warnings.len() == 1 && warnings[0].contains("last step would start"), "{warnings:?}");
}

#[test]
fn a_final_newline_is_not_part_of_a_secret() {
    let environment: Environment =
        DEFAULT_VARIABLES.into_iter().map(|(name, secret)| (name, format!("{secret}\r\n"))).collect();
    let text = DEFAULT_FILE.replace("{ env = \"META_VERIFY_TOKEN\" }", "\"CANARY-verify\\n\"");
    let config = Config::parse(&text, &environment).unwrap();
    let Settings::Meta(meta) = &config.channels["whatsapp"].kind else { panic!("it is of kind meta") };
    let Settings::Http(http) = &config.channels["sms"].kind else { panic!("it is of kind http") };
    for (secret, expected) in [
        (&meta.access_token, "CANARY-access-token"),
        (&meta.app_secrets[0], "CANARY-app-secret-1234"),
        (&meta.verify_token, "CANARY-verify"),
        (bearer(http), "CANARY-sms-token"),
        (report_secret(http), "CANARY-report-secret"),
        (&config.apps[0].api_keys[0], "CANARY-shop-key-1234"),
    ] {
        assert_eq!(secret.expose_secret(), expected);
    }
}

#[test]
fn weak_secrets_are_warned_about_and_not_shown() {
    for (name, value, key) in [
        ("META_APP_SECRET", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "channels.whatsapp.app_secrets[0]"),
        ("SMS_REPORT_SECRET", "abababababababababab", "channels.sms.report_secret"),
        ("META_VERIFY_TOKEN", "11111111", "channels.whatsapp.verify_token"),
        ("WHATSAPP_ACCESS_TOKEN", "tok3n", "channels.whatsapp.access_token"),
        ("SHOP_KEY", "xxxxxxxxxxxxxxxxxxxx", "apps[0].api_keys[0]"),
        ("MASTER", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "keys.master"),
    ] {
        let mut place = Place::with(GOOD);
        place.set(name, value);
        let output = place.run(&["config", "check"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let shown = stdout(&output);
        let warnings: Vec<_> = shown.lines().filter(|line| line.starts_with("warning")).collect();
        assert!(
            matches!(warnings[..], [warning] if warning.contains(&format!("{key}: "))),
            "{name}: {warnings:?}"
        );
        assert!(!shown.contains(value), "{name}: {shown}");
    }
}

#[test]
fn probable_mistakes_are_warned_about() {
    let warned = |place: &Place| {
        let output = place.run(&["config", "check"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let warnings = |line: &str| line.strip_prefix("warning  ").map(str::to_owned);
        stdout(&output).lines().filter_map(warnings).collect::<Vec<_>>()
    };
    let with = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        warned(&Place::with(&GOOD.replacen(from, to, 1)))
    };
    let listen = "listen = \"127.0.0.1:8080\"";
    let admin = |address: &str| with(listen, &format!("{listen}\nadmin_listen = \"{address}\""));
    for open in
        ["0.0.0.0:8081", "[::]:8081", "203.0.113.7:8081", "[2001:db8::7]:8081", "[::ffff:203.0.113.7]:8081"]
    {
        let warnings = admin(open);
        assert!(warnings.len() == 1 && warnings[0].contains("server.admin_listen: "), "{open}: {warnings:?}");
    }
    for closed in [
        "127.0.0.2:8081",
        "[::1]:8081",
        "10.1.2.3:8081",
        "172.20.0.2:8081",
        "192.168.1.5:8081",
        "100.64.0.9:8081",
        "169.254.1.1:8081",
        "[fd00::7]:8081",
        "[fe80::7]:8081",
        "[::ffff:10.0.0.1]:8081",
    ] {
        assert_eq!(admin(closed), [""; 0], "{closed}");
    }

    let local = "public_url = \"https://otp.example.com\"";
    for address in [
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "https://[::1]",
        "http://127.9.9.9",
        "https://a.localhost",
    ] {
        let warnings = with(local, &format!("public_url = \"{address}\""));
        assert!(warnings.len() == 1, "{address}: {warnings:?}");
        assert!(
            warnings[0].contains("config.toml:3: server.public_url: ") && warnings[0].contains("whatsapp"),
            "{warnings:?}"
        );
    }
    let at_home = GOOD
        .replace(local, "public_url = \"http://127.0.0.1:8080\"")
        .replace("kind = \"meta\"", "kind = \"meta\"\ngraph_url = \"http://127.0.0.1:8090\"")
        .replace("https://sms.example.com/send", "http://127.0.0.1:8090/sms/send");
    assert_eq!(warned(&Place::with(&at_home)), [""; 0], "with stand-ins it is right");

    let more = "[templates.old]\nlocales = { en = \"en\" }\nbutton = \"copy_code\"\n[texts.old]\nen = \"{code}\"\n\
                [channels.old]\nkind = \"http\"\nurl = \"https://old.example.com\"\nfrom = \"A\"\nbearer = \"CANARY-1\"\n\
                report_secret = \"CANARY-a-report-secret\"\n[profiles.login]";
    let warnings = with("[profiles.login]", more);
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for key in ["channels.old", "templates.old", "texts.old"] {
        let told = format!("{key}: is not used by any profile");
        assert!(warnings.iter().any(|warning| warning.contains(&told)), "{key}: {warnings:?}");
    }
}

#[test]
fn misspelt_variables_are_reported() {
    let warned = |name: &str, value: &str| {
        let mut place = Place::with(GOOD);
        let output = place.set(name, value).run(&["config", "check"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        let lines = stdout(&output);
        lines.lines().filter(|line| line.starts_with("warning")).map(str::to_owned).collect::<Vec<_>>()
    };
    for (name, meant) in [
        ("TWOTICK_SERVER_LISTEN", "TWOTICK__SERVER__LISTEN"),
        ("TWOTICK_SERVER__LISTEN", "TWOTICK__SERVER__LISTEN"),
        ("TWOTICKSERVERLISTEN", "TWOTICK__SERVER__LISTEN"),
        ("twotick__server__listen", "TWOTICK__SERVER__LISTEN"),
        ("TWOTICK.SERVER.LISTEN", "TWOTICK__SERVER__LISTEN"),
        ("TWO_TICK__SERVER__LISTEN", "TWOTICK__SERVER__LISTEN"),
        ("TWOTIK__SERVER__LISTEN", "TWOTICK__SERVER__LISTEN"),
        ("TWOTICK_SERVER_LISTN", "TWOTICK__SERVER__LISTEN"),
        ("TWOTICK_SERVER_ADMIN_LISTEN", "TWOTICK__SERVER__ADMIN_LISTEN"),
        ("TWOTICK_STORE_PATH", "TWOTICK__STORE__PATH"),
        ("TWOTICK_CHANNELS_SMS_TIMEOUT", "TWOTICK__CHANNELS__SMS__TIMEOUT"),
        ("TWOTICK_APPS", "TWOTICK__APPS"),
        ("TWOTICK_CONFG", "TWOTICK_CONFIG"),
        ("TWOTICK_APIKEY", "TWOTICK_API_KEY"),
    ] {
        let warnings = warned(name, "CANARY");
        let told = format!("warning  environment variable {name}: has no effect; did you mean {meant}?");
        assert_eq!(warnings, [told], "{name}");
    }
    // Unrelated variables, and valid ones.
    for name in [
        "TWOTICK_SERVICE_HOST",
        "TWOTICK_PORT_8080_TCP_ADDR",
        "TWOTICK_SHOP_KEY",
        "TWOTICK_LOG",
        "TWITTER_SERVER_LISTEN",
        "SERVER_LISTEN",
    ] {
        assert_eq!(warned(name, "x"), [""; 0], "{name}");
    }
    let mut place =
        Place::with(&GOOD.replace("{ env = \"SHOP_KEY\" }", "{ env = \"TWOTICK_SERVER_LISTEN\" }"));
    let output = place.set("TWOTICK_SERVER_LISTEN", "CANARY-shop-key-1234").run(&["config", "check"]);
    assert!(!stdout(&output).contains("warning"), "a secret comes from it: {}", stdout(&output));
}

#[test]
fn admin_hosts_must_be_host_names() {
    let with = |hosts: &str| {
        let text = GOOD.replace("[keys]", &format!("admin_hosts = {hosts}\n[keys]"));
        Config::parse(&text, &SECRETS.into_iter().collect())
    };
    let place = Place::new();
    let token = place.path().join("sms.token");
    let good = |hosts: &str| {
        let text = GOOD
            .replace("[keys]", &format!("admin_hosts = {hosts}\n[keys]"))
            .replace("sms.token", token.to_str().unwrap());
        Config::parse(&text, &SECRETS.into_iter().collect()).map(|config| config.server.admin_hosts)
    };
    assert_eq!(good("[]").unwrap(), [""; 0]);
    assert_eq!(
        good("[\"Twotick.internal\", \"10.0.0.7\", \"fd00::7\"]").unwrap(),
        ["twotick.internal", "10.0.0.7", "fd00::7"]
    );
    for wrong in ["[\"\"]", "[\"a:80\"]", "[\"http://a\"]", "[\"*\"]", "[\"a b\"]", "\"a\"", "[7]"] {
        assert!(with(wrong).unwrap_err().to_string().contains("server.admin_hosts"), "{wrong}");
    }
}

#[test]
fn the_effective_values_name_their_origin_in_the_library_too() {
    let environment: Environment = DEFAULT_VARIABLES.into_iter().collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    std::fs::write(&path, DEFAULT_FILE.replace("[store]", "[store] # mine")).unwrap();
    let overrides = vec![("server.listen".to_owned(), "127.0.0.1:0".to_owned())];
    let source = Source { file: Some(path.clone()), overrides, environment: &environment };
    let loaded = Config::load(&source).unwrap();
    assert_eq!(loaded.file.as_deref(), Some(path.as_path()));
    assert_eq!(loaded.config.server.listen.port(), 0);
    let listen = loaded.effective.iter().find(|shown| shown.key == "server.listen").unwrap();
    assert_eq!(listen.origin, Origin::Flag);
}

#[test]
fn init_writes_the_commented_default_and_overwrites_nothing() {
    let place = Place::new();
    assert_eq!(place.run(&["config", "init"]).status.code(), Some(0));
    let written = || std::fs::read_to_string(place.path().join("config.toml")).unwrap();
    assert_eq!(written(), DEFAULT_FILE);
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    assert_eq!(written(), std::fs::read_to_string(repository).unwrap());

    place.write("config.toml", "mine");
    let output = place.run(&["config", "init"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "config.toml exists; --force replaces it\n");
    assert_eq!(written(), "mine");

    assert_eq!(place.run(&["config", "init", "--force"]).status.code(), Some(0));
    assert_eq!(written(), DEFAULT_FILE);
    assert_eq!(place.run(&["config", "init", "other.toml"]).status.code(), Some(0));
    assert!(place.path().join("other.toml").exists());
    assert_eq!(place.run(&["config", "init", "no/such/folder.toml"]).status.code(), Some(1));
}

#[test]
fn wrong_usage_ends_with_2() {
    let place = Place::with(GOOD);
    assert_eq!(place.run(&["config"]).status.code(), Some(2));
    assert_eq!(place.run(&["config", "chekc"]).status.code(), Some(2));
    let output = place.run(&["config", "check", "--set", "CANARY"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!stderr(&output).contains("CANARY"));
}

#[test]
fn the_cost_of_texts_is_shown_with_its_cause() {
    let checked = |text: &str| {
        let output = Place::with(text).run(&["config", "check"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let priced = checked(GOOD);
    assert!(priced.contains("ok    text otp in en: 1 SMS, "), "{priced}");
    let long = format!("en = \"{{code}} {} ő\"", "a".repeat(70));
    let line = GOOD.lines().find(|line| line.starts_with("en = \"{code}")).unwrap();
    let dear = checked(&GOOD.replace(line, &long));
    assert!(
        dear.contains(
            "takes 2 SMS segments, each charged: 79 characters of UCS-2, because GSM-7 lacks \"ő\""
        ),
        "{dear}"
    );
    assert!(dear.contains("ok    text otp in en: 2 SMS segments, 79 of UCS-2"), "{dear}");
}

#[test]
fn the_text_and_the_locales_of_thirty_languages_are_built_in() {
    let good = GOOD.replace("{ file = \"sms.token\" }", "\"token\"");
    let (before, _) = good.split_once("[texts.otp]").unwrap();
    let environment: Environment = SECRETS.into_iter().collect();
    let locales = before.lines().find(|line| line.starts_with("locales")).unwrap();
    let config = Config::parse(&before.replace(locales, ""), &environment).unwrap();
    let text = &config.texts["otp"].locales;
    assert_eq!(text["de"], "{code} ist Ihr {brand}-Code. Er läuft in {minutes} Minuten ab.");
    assert!(text.len() >= 30);
    let template = &config.templates["login_code"].locales;
    assert_eq!((template["pt-BR"].as_str(), template["zh-CN"].as_str()), ("pt_BR", "zh_CN"));
}

#[test]
fn a_profile_can_end_its_texts_with_a_line_for_the_phone() {
    let good = GOOD.replace("{ file = \"sms.token\" }", "\"token\"");
    let with = |key: &str| good.replace("[profiles.login]", &format!("[profiles.login]\n{key}"));
    let environment: Environment = SECRETS.into_iter().collect();
    for (key, end) in [
        ("web_otp_domain = \"login.example.com\"", "\n\n@login.example.com #{code}"),
        ("sms_retriever_hash = \"+sR1l3SmHwk\"", "\n\n+sR1l3SmHwk"),
    ] {
        let config = Config::parse(&with(key), &environment).unwrap();
        let profile = &config.profiles["login"];
        assert_eq!(profile.whole_text("{code}"), format!("{{code}}{end}"));
    }
    for wrong in [
        "web_otp_domain = \"https://example.com\"",
        "web_otp_domain = \"example.com:8080\"",
        "web_otp_domain = \"-example.com\"",
        "web_otp_domain = \"\"",
        "sms_retriever_hash = \"tooshort\"",
        "sms_retriever_hash = \"+sR1l3SmHw!\"",
        "sms_retriever_hash = \"+sR1l3SmHwk\"\nweb_otp_domain = \"example.com\"",
    ] {
        assert!(Config::parse(&with(wrong), &environment).is_err(), "{wrong}");
    }
}

/// A channel of a kind without an example in `config.toml`.
fn with_channel(channel: &str, step: &str) -> String {
    format!(
        r#"
        [[apps]]
        name = "shop"
        api_keys = ["CANARY-api-key-123"]
        [channels.sinch]
        {channel}
        webhook_secrets = ["CANARY-hook-secret"]
        [profiles.login]
        brand = "Acme"
        steps = [{{ channel = "sinch", {step} }}]
        [templates.code]
        locales = {{ en = "en" }}
        button = "copy_code"
        [texts.otp]
        en = "{{code}}"
        "#
    )
}

const CONVERSATION: &str = r#"kind = "sinch-conversation"
        project_id = "project"
        app_id = "01APP"
        key_id = "key"
        key_secret = "CANARY-key-secret"
        region = "br"
        via = "VIA""#;
const SINCH_SMS: &str = r#"kind = "sinch-sms"
        service_plan_id = "plan"
        api_token = "CANARY-api-token"
        from = "Acme"
        region = "ca""#;

#[test]
fn sinch_channels_need_only_their_own_keys() {
    let environment = Environment::default();
    let parsed = |text: &str| Config::parse(text, &environment).map_err(|problems| problems.to_string());
    for (via, step) in
        [("whatsapp", r#"template = "code""#), ("sms", r#"text = "otp""#), ("rcs", r#"text = "otp""#)]
    {
        let channel = CONVERSATION.replace("VIA", via);
        let config = parsed(&with_channel(&channel, step)).unwrap();
        let sinch = &config.channels["sinch"];
        assert_eq!(sinch.kind.address(), "https://br.conversation.api.sinch.com", "{via}");
        assert_eq!(sinch.kind.usual_address(), Some(sinch.kind.address()), "{via}");
        assert_eq!(
            (sinch.timeouts.whole, sinch.messages_per_second),
            (Duration::from_secs(10), None),
            "{via}"
        );
        assert!(!format!("{config:?}").contains("CANARY"), "{via}");
        let other = if via == "whatsapp" { r#"text = "otp""# } else { r#"template = "code""# };
        let refused = parsed(&with_channel(&channel, other)).unwrap_err();
        assert!(refused.contains("not allowed on a channel of kind \"sinch-conversation\""), "{refused}");
        let stand_in = format!("{channel}\nbase_url = \"http://127.0.0.1:8090\"\nmessages_per_second = 5");
        let config = parsed(&with_channel(&stand_in, step)).unwrap();
        assert_eq!(config.channels["sinch"].kind.address(), "http://127.0.0.1:8090");
        assert_eq!(config.channels["sinch"].messages_per_second, Some(5));
    }
    let config = parsed(&with_channel(SINCH_SMS, r#"text = "otp""#)).unwrap();
    assert_eq!(config.channels["sinch"].kind.address(), "https://ca.sms.api.sinch.com");
    assert_eq!(config.channels["sinch"].kind.kind().as_str(), "sinch-sms");
    for (channel, from, to, says) in [
        (CONVERSATION, "VIA", "fax", "\"whatsapp\" or \"sms\" or \"rcs\""),
        (CONVERSATION, "\"br\"", "\"ca\"", "\"eu\" or \"us\" or \"br\""),
        (CONVERSATION, "\"project\"", "\"a/../b\"", "letters, digits, - and _"),
        (CONVERSATION, "\"key\"", "\"key:x\"", "letters, digits, - and _"),
        (CONVERSATION, "app_id = \"01APP\"", "", "channels.sinch.app_id: missing"),
        (CONVERSATION, "app_id = \"01APP\"", "app_id = \"01APP\"\nbearer = \"CANARY\"", "unknown key"),
        (SINCH_SMS, "\"plan\"", "\"\"", "letters, digits, - and _"),
        (SINCH_SMS, "\"CANARY-api-token\"", "\"CANARY token\"", "visible ASCII"),
        (SINCH_SMS, "\"ca\"", "\"jp\"", "\"eu\" or \"us\" or \"br\" or \"ca\" or \"au\""),
    ] {
        let changed = channel.replace(from, to).replace("VIA", "sms");
        let refused = parsed(&with_channel(&changed, r#"text = "otp""#)).unwrap_err();
        assert!(refused.contains(says) && !refused.contains("CANARY"), "{refused}");
    }
}
