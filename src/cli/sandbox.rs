//! `twotick sandbox`: only the stand-in for Meta, the SMS carrier and the phones.

use std::io;
use std::net::SocketAddr;

use secrecy::SecretString;

use super::signals::Signals;
use super::{Exit, logging, print, secret};
use crate::app::sandbox::{self, Options};
use crate::config::Environment;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Takes Meta's webhooks
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/webhooks/whatsapp")]
    webhook_url: String,
    /// Signs them
    #[arg(long, value_name = "SECRET", env = "META_APP_SECRET", hide_env_values = true)]
    #[arg(default_value = "sandbox-app-secret", hide_default_value = false)]
    app_secret: SecretString,
    /// Takes the carrier's reports
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/webhooks/sms")]
    report_url: String,
    /// Signs those
    #[arg(long, value_name = "SECRET", env = "SMS_REPORT_SECRET", hide_env_values = true)]
    #[arg(default_value = "sandbox-report-secret")]
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
            eprintln!("the sandbox cannot run on {}: {error}", args.listen);
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
    let exit = print(&format!(
        "Phones    {url}/\n\
         Meta      graph_url = \"{url}\"\n\
         Carrier   url = \"{url}/sms/send\"\n\
         Webhooks  {}\n\
         Reports   {}\n",
        args.webhook_url, args.report_url
    ));
    if exit == Exit::Done {
        signals.stop_asked().await;
    }
    sandbox.stop().await;
    Ok(exit)
}
