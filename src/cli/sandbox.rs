//! `twotick sandbox`: only the stand-in for Meta, the SMS carrier and the phones.

use std::io;
use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

use super::signals::Signals;
use super::{Exit, logging, print, secret};
use crate::app::sandbox::{self, Options};
use crate::config::Environment;
use crate::config::sandbox as known;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address to listen on. Port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Where to send Meta's webhooks
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/webhooks/whatsapp")]
    webhook_url: String,
    /// Secret that signs Meta's webhooks
    #[arg(long, value_name = "SECRET", env = "META_APP_SECRET", hide_env_values = true)]
    #[arg(default_value = known::APP_SECRET)]
    app_secret: SecretString,
    /// Where to send the carrier's delivery reports
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/webhooks/sms")]
    report_url: String,
    /// Secret that signs the delivery reports
    #[arg(long, value_name = "SECRET", env = "SMS_REPORT_SECRET", hide_env_values = true)]
    #[arg(default_value = known::REPORT_SECRET)]
    report_secret: SecretString,
}

pub(super) fn run(args: &Args) -> Exit {
    let secrets = secret("--app-secret", &args.app_secret)
        .and_then(|app_secret| Ok((app_secret, secret("--report-secret", &args.report_secret)?)));
    let (app_secret, report_secret) = match secrets {
        Ok(secrets) => secrets,
        Err(exit) => return exit,
    };
    logging::start(&Environment::from_process(), "info");
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(serve(args, app_secret, report_secret)));
    match ended {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("cannot run the sandbox on {}: {error}", args.listen);
            Exit::Failed
        }
    }
}

async fn serve(args: &Args, app_secret: SecretString, report_secret: SecretString) -> io::Result<Exit> {
    let signals = Signals::listen()?;
    let sandbox = sandbox::start(Options {
        listen: args.listen,
        webhook_url: args.webhook_url.clone(),
        app_secret,
        report_url: args.report_url.clone(),
        report_secret,
        pace: sandbox::DEFAULT_PACE,
        late_after: sandbox::DEFAULT_LATE_AFTER,
    })
    .await?;
    let url = sandbox.url();
    let exit = print(&settings(args, &url));
    if exit == Exit::Done {
        signals.stop_asked().await;
    }
    sandbox.stop().await;
    Ok(exit)
}

/// The sandbox's addresses, and the settings that a server needs to use it.
fn settings(args: &Args, url: &str) -> String {
    format!(
        "Phones    {url}/\n\
         Codes     {url}/handsets/+12025550100 (JSON: channel, text, code, at)\n\
         Webhooks  {}\n\
         Reports   {}\n\n\
         `twotick config init --sandbox` writes a configuration for this sandbox. Any other\n\
         configuration with the channels whatsapp and sms needs this environment:\n\n\
         {}\n",
        args.webhook_url,
        args.report_url,
        environment(args, url)
    )
}

/// Shell lines that set the environment. Shows the default secrets only: a given secret may be a real one.
fn environment(args: &Args, url: &str) -> String {
    let mut lines = vec![
        export("TWOTICK__CHANNELS__WHATSAPP__GRAPH_URL", url),
        export("TWOTICK__CHANNELS__SMS__URL", &format!("{url}/sms/send")),
        export("WHATSAPP_ACCESS_TOKEN", known::ACCESS_TOKEN),
        export("META_VERIFY_TOKEN", known::VERIFY_TOKEN),
        export("SMS_TOKEN", known::SMS_TOKEN),
        export("TWOTICK_SHOP_KEY", known::API_KEY),
    ];
    for (name, given, usual, key, flag) in [
        (
            "META_APP_SECRET",
            &args.app_secret,
            known::APP_SECRET,
            ("TWOTICK__CHANNELS__WHATSAPP__APP_SECRETS", "[{ env = \"META_APP_SECRET\" }]"),
            "--app-secret",
        ),
        (
            "SMS_REPORT_SECRET",
            &args.report_secret,
            known::REPORT_SECRET,
            ("TWOTICK__CHANNELS__SMS__REPORT_SECRET", "{ env = \"SMS_REPORT_SECRET\" }"),
            "--report-secret",
        ),
    ] {
        if given.expose_secret() == usual {
            lines.push(export(name, usual));
        } else {
            lines.push(export(key.0, key.1));
            lines.push(format!("# and {name}, with the value of {flag} or {name}"));
        }
    }
    lines.join("\n") + "\n"
}

/// Quotes for a POSIX shell.
fn export(name: &str, value: &str) -> String {
    format!("export {name}='{}'", value.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, DEFAULT_FILE};

    fn args(app_secret: &str) -> Args {
        Args {
            listen: "127.0.0.1:8090".parse().unwrap(),
            webhook_url: "http://127.0.0.1:8080/webhooks/whatsapp".to_owned(),
            app_secret: app_secret.into(),
            report_url: "http://127.0.0.1:8080/webhooks/sms".to_owned(),
            report_secret: known::REPORT_SECRET.into(),
        }
    }

    fn variables(lines: &str) -> Vec<(String, String)> {
        let exports = lines.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        exports.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
    }

    /// The default configuration needs six variables.
    #[test]
    fn the_environment_suffices_for_the_default_configuration() {
        let lines = environment(&args(known::APP_SECRET), known::URL);
        let environment = variables(&lines).into_iter().collect::<Environment>();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, DEFAULT_FILE).unwrap();
        let source =
            crate::config::Source { file: Some(file), overrides: Vec::new(), environment: &environment };
        Config::load(&source).unwrap_or_else(|problems| panic!("{problems}"));
    }

    #[test]
    fn a_given_secret_is_not_shown() {
        let given = "a-real-secret-of-somebody";
        let lines = environment(&args(given), known::URL);
        assert!(!lines.contains(given), "{lines}");
        let mut given = variables(&lines);
        assert!(!given.iter().any(|(name, _)| name == "META_APP_SECRET"));
        given.push(("META_APP_SECRET".to_owned(), "a-real-secret-of-somebody".to_owned()));
        let environment = given.into_iter().collect::<Environment>();
        // The sandbox's configuration file, which has the default secret, works too.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, known::sandbox_file()).unwrap();
        let source =
            crate::config::Source { file: Some(file), overrides: Vec::new(), environment: &environment };
        let loaded = Config::load(&source).unwrap_or_else(|problems| panic!("{problems}"));
        let crate::channel::Settings::Meta(meta) = &loaded.config.channels["whatsapp"].kind else {
            panic!("it is Meta's")
        };
        assert_eq!(meta.app_secrets[0].expose_secret(), "a-real-secret-of-somebody");
    }

    #[test]
    fn a_value_is_quoted_for_the_shell() {
        assert_eq!(export("A", "it's"), "export A='it'\\''s'");
    }
}
