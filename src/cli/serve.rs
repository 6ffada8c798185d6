//! `twotick serve`: the server.

use super::signals::Signals;
use super::{Cli, Exit, load_config, logging};
use crate::app::{self, KeyLoss, Listeners, StartError};
use crate::clock::Clock;
use crate::config::{Config, Environment};

#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    /// Start although keys are missing that sealed data: what they sealed stays unreadable, and pending verifications
    /// that need them are canceled. Needed once, without a copy of the keys
    #[arg(long)]
    accept_lost_keys: bool,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let key_loss = if args.accept_lost_keys { KeyLoss::Accepted } else { KeyLoss::Refused };
    logging::start(&Environment::from_process(), "info");
    let loaded = match load_config(cli) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(&loaded.config, key_loss)),
        Err(error) => {
            eprintln!("no threads can be started: {error}");
            Exit::Failed
        }
    }
}

async fn serve(config: &Config, key_loss: KeyLoss) -> Exit {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("signals cannot be listened for: {error}");
            return Exit::Failed;
        }
    };
    let app = match start(config, key_loss).await {
        Ok(app) => app,
        Err(error) => {
            tracing::error!("not started: {error}");
            return Exit::Failed;
        }
    };
    match app.run(signals.stop_asked()).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            tracing::error!("{error}");
            Exit::Failed
        }
    }
}

/// The ports first: one that is taken is told before the store is opened.
async fn start(config: &Config, key_loss: KeyLoss) -> Result<app::App, StartError> {
    let listeners = Listeners::bind(&config.server)?;
    app::build(config, Clock::System, listeners, key_loss).await
}
