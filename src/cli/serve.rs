//! `twotick serve`: the server.

use std::sync::Arc;

use tokio::signal::unix::Signal;

use super::signals::{self, Signals};
use super::{Cli, ConfigPlace, Exit, load_config, logging};
use crate::app::{self, KeyLoss, Listeners, Reloader, StartError};
use crate::clock::Clock;
use crate::config::{Config, Environment, Loaded, Needs};

#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    /// Start although keys are missing that data was encrypted with. That data stays unreadable, and pending
    /// verifications that need it are canceled. Only needed once, if there is no copy of the keys
    #[arg(long)]
    accept_lost_keys: bool,
}

pub(super) fn run(cli: &Cli, args: &Args) -> Exit {
    let key_loss = if args.accept_lost_keys { KeyLoss::Accepted } else { KeyLoss::Refused };
    logging::start(&Environment::from_process(), "info");
    let (place, loaded) = match ConfigPlace::of(cli).and_then(|place| Ok((place, load_config(cli)?))) {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // Must run before any other thread exists.
    match app::become_owner(&loaded.config) {
        Ok(None) => {}
        Ok(Some(uid)) => {
            tracing::info!(uid, "started by root: continuing as the owner of the data folder");
        }
        Err(error) => {
            tracing::error!("not started: {error}");
            return Exit::Failed;
        }
    }
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(loaded, place, key_loss)),
        Err(error) => {
            eprintln!("cannot start threads: {error}");
            Exit::Failed
        }
    }
}

async fn serve(loaded: Loaded, place: ConfigPlace, key_loss: KeyLoss) -> Exit {
    // Before the start, so that a SIGHUP during it does not end the process.
    let signals = Signals::listen().and_then(|signals| Ok((signals, signals::hangups()?)));
    let (signals, hangups) = match signals {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("cannot listen for signals: {error}");
            return Exit::Failed;
        }
    };
    let app = match start(&loaded.config, key_loss).await {
        Ok(app) => app,
        Err(error) => {
            tracing::error!("not started: {error}");
            return Exit::Failed;
        }
    };
    // If the file is moved away, a reload must not fall back to the built-in default.
    let place = place.staying_with(loaded.file.clone());
    let reloading = tokio::spawn(reload_on(hangups, Arc::new(app.reloader(loaded)), place));
    let ended = app.run(signals.stop_asked()).await;
    reloading.abort();
    match ended {
        Ok(()) => Exit::Done,
        Err(error) => {
            tracing::error!("{error}");
            Exit::Failed
        }
    }
}

/// On SIGHUP, reloads what can change without a restart.
async fn reload_on(mut hangups: Signal, reloader: Arc<Reloader>, place: ConfigPlace) {
    while hangups.recv().await.is_some() {
        let (reloader, place) = (Arc::clone(&reloader), place.clone());
        let reload = move || reloader.reload(|| place.read(Needs::Every));
        if let Err(error) = tokio::task::spawn_blocking(reload).await {
            tracing::error!(%error, "configuration not reloaded");
        }
    }
}

/// Binds the ports before it opens the store, so that a port in use is reported at once.
async fn start(config: &Config, key_loss: KeyLoss) -> Result<app::App, StartError> {
    let listeners = Listeners::bind(&config.server)?;
    app::build(config, Clock::System, listeners, key_loss).await
}
