//! `twotick demo`: everything in one process, for someone who has just cloned it.

mod play;
mod verdict;

use std::net::SocketAddr;

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use super::client::Api;
use super::logging::{self, Stream};
use super::signals::Signals;
use super::timeline::{Look, Paint, rendered};
use super::{Exit, print};
use crate::app::demo::{self, DELIVER_WITHIN, Demo};
use crate::app::sandbox::scenario::SCENARIOS;
use crate::config::Environment;
use play::{Player, Scene};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the finished timelines and end: 0 if every scenario went as it should, else 1
    #[arg(long)]
    once: bool,
    /// Where the API listens [default: port 8080, or any free one]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

pub(super) fn run(args: &Args) -> Exit {
    // The scenarios are full of trouble, so warnings would only be noise here.
    logging::start(&Environment::from_process(), "error");
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(demonstrate(args)),
        Err(error) => {
            eprintln!("no threads can be started: {error}");
            Exit::Failed
        }
    }
}

async fn demonstrate(args: &Args) -> Exit {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("signals cannot be listened for: {error}");
            return Exit::Failed;
        }
    };
    let demo = match demo::start(args.listen).await {
        Ok(demo) => demo,
        Err(error) => {
            eprintln!("the demo cannot start: {error}");
            return Exit::Failed;
        }
    };
    let place = Place::of(&demo);
    let shown = tokio::select! {
        shown = show(args, &demo, &place) => shown,
        () = signals.stop_asked() => Exit::Failed,
    };
    let stop = async {
        if !args.once && shown == Exit::Done {
            signals.stop_asked().await;
            eprintln!("stopping; the demo's data is thrown away");
        }
    };
    match demo.run(stop).await {
        Ok(()) => shown,
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

/// Plays all scenarios and says what became of them.
async fn show(args: &Args, demo: &Demo, place: &Place) -> Exit {
    let look = Look::of(Stream::Stdout);
    let api = match Api::at(&place.api, demo.api_key.clone()) {
        Ok(api) => api,
        Err(error) => {
            eprintln!("{error}");
            return Exit::Failed;
        }
    };
    let scenes = if args.once {
        eprintln!("playing {} scenarios; this takes about 8 seconds …", SCENARIOS.len());
        play_all(&api, demo, None).await
    } else {
        print(&place.welcome(look));
        play_all(&api, demo, Some(look)).await
    };
    let verdicts: Vec<_> = scenes.iter().map(|scene| verdict::judge(scene, &demo.sandbox)).collect();
    let mut text = String::from("\n");
    if args.once {
        for scene in &scenes {
            text.push_str(&look.paint(&scene.heading(), Paint::Strong));
            text.push('\n');
            text.push_str(&rendered(&scene.timeline, look));
            text.push('\n');
        }
    }
    text.push_str(&verdict::table(&scenes, &verdicts, look));
    if !args.once {
        text.push_str(&place.farewell(look));
    }
    let printed = print(&text);
    // Who only looks keeps the demo even where a scenario surprised us; the table says so.
    if args.once && verdicts.iter().any(|verdict| !verdict.is_empty()) { Exit::Failed } else { printed }
}

/// All scenarios at once, as their timelines grow; the scenes in their order.
async fn play_all(api: &Api, demo: &Demo, live: Option<Look>) -> Vec<Scene> {
    let (lines, mut told) = mpsc::unbounded_channel();
    let player = Player { api, sandbox: &demo.sandbox, lines, look: live.unwrap_or(Look::Plain) };
    let playing = async {
        let scenes = verdict::programme().map(|(scenario, expected)| player.play(scenario, expected));
        let scenes = join_all(scenes).await;
        drop(player);
        scenes
    };
    let telling = async {
        while let Some(line) = told.recv().await {
            if live.is_some() {
                print(&line);
            }
        }
    };
    tokio::join!(playing, telling).0
}

/// What a newcomer may open.
struct Place {
    api: String,
    admin: String,
    phones: String,
    key: String,
    /// Of every user of the console.
    password: String,
}

impl Place {
    fn of(demo: &Demo) -> Self {
        Self {
            api: format!("http://{}", demo.app.addr()),
            admin: format!("http://{}", demo.app.admin_addr()),
            phones: demo.sandbox.url(),
            key: demo.api_key.expose_secret().to_owned(),
            password: demo.console_password.expose_secret().to_owned(),
        }
    }

    fn welcome(&self, look: Look) -> String {
        let Self { api, admin, phones, key, password } = self;
        let heading = look.paint(&format!("twotick {} demo", env!("CARGO_PKG_VERSION")), Paint::Strong);
        let seconds = DELIVER_WITHIN.as_secs();
        format!(
            "{heading} · nothing leaves this machine\n\n  \
             Phones    {phones}/   what people see: WhatsApp and SMS\n  \
             Console   {admin}/console   what became of each code; sign in as operator with the password\n            \
             {password}   (or as support or viewer, who may do less)\n  \
             API docs  {admin}/docs\n  \
             API       {api}\n  \
             API key   {key}   good only for this demo\n\n\
             twotick, a stand-in for Meta and a stand-in for an SMS carrier run in this process. The data lies in a\n\
             folder that is thrown away at the end.\n\n\
             Twelve people now ask for a code. Each gets it by WhatsApp, and by SMS if WhatsApp has not delivered it\n\
             within {seconds} seconds or says that it cannot. What goes wrong for whom is set by the last two digits:\n\n"
        )
    }

    fn farewell(&self, look: Look) -> String {
        let Self { api, admin, phones, key, password } = self;
        format!(
            "\n{}\n  {phones}/         the phones, with the codes they got\n  \
             {admin}/console   what became of each; sign in as operator with {password}\n  \
             {admin}/docs      the API, each call described\n\n\
             {}\n  curl -s {api}/v1/verifications -H 'Authorization: Bearer {key}' \\\n    \
             -H 'Content-Type: application/json' -d '{{\"to\": \"+4915228817301\"}}'\n\n  \
             Any number works; its last two digits choose the scenario. Look at the phones, then check the code:\n  \
             twotick check ID CODE --url {api} --key {key}\n  \
             twotick timeline ID --url {api} --key {key}\n\n\
             The demo goes on until ctrl-c.\n",
            look.paint("Open this", Paint::Strong),
            look.paint("Try this", Paint::Strong),
        )
    }
}
