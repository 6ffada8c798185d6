//! `twotick demo`: server, stand-ins and scenarios in one process.

mod play;
mod rows;
mod verdict;

use std::collections::HashSet;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::client::Api;
use super::follow::{Follower, News};
use super::logging::{self, Stream};
use super::send::id_of;
use super::signals::Signals;
use super::timeline::{Paint, Style, line_within, rendered_within};
use super::{Exit, print};
use crate::app::demo::{self, DELIVER_WITHIN, Demo};
use crate::app::sandbox::scenario::SCENARIOS;
use crate::config::Environment;
use play::{Player, Scene};
use rows::Rows;

/// Output is never wider than this, the usual least width of a terminal.
const COLUMNS: usize = 80;
/// Interval between polls for codes that the user sends.
const POLL_EVERY: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print the finished timelines and exit: with 0 if every scenario ended as expected, else with 1
    #[arg(long)]
    once: bool,
    /// API address [default: port 8080, or any free one]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

pub(super) fn run(args: &Args) -> Exit {
    // The scenarios provoke errors, so warnings would only be noise.
    logging::start(&Environment::from_process(), "error");
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(demonstrate(args)),
        Err(error) => {
            eprintln!("cannot start threads: {error}");
            Exit::Failed
        }
    }
}

async fn demonstrate(args: &Args) -> Exit {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("cannot listen for signals: {error}");
            return Exit::Failed;
        }
    };
    let demo = match demo::start(args.listen).await {
        Ok(demo) => demo,
        Err(error) => {
            eprintln!("cannot start the demo: {error}");
            return Exit::Failed;
        }
    };
    let place = Addresses::of(&demo);
    let api = match Api::at(&place.api, demo.api_key.clone()) {
        Ok(api) => api,
        Err(error) => {
            eprintln!("{error}");
            return Exit::Failed;
        }
    };
    // Starts before the first code, so that no code of the user is missed.
    let follower = Follower::start(&api).await;
    let shown = tokio::select! {
        shown = show(args, &demo, &place, &api) => shown,
        () = signals.stop_asked() => Err(Exit::Failed),
    };
    let stop = async {
        if let (Ok(scenes), Ok(follower)) = (&shown, follower)
            && !args.once
        {
            tokio::select! {
                () = follow(&api, follower, scenes) => {}
                () = signals.stop_asked() => {}
            }
            eprintln!("stopping; the data of the demo is deleted");
        }
    };
    match demo.run(stop).await {
        Ok(()) => shown.map_or_else(|exit| exit, |_| Exit::Done),
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}

/// Plays all scenarios and prints their results. `Err` is the exit code of the demo.
async fn show(args: &Args, demo: &Demo, place: &Addresses, api: &Api) -> Result<Vec<Scene>, Exit> {
    let style = Style::of(Stream::Stdout);
    let in_place = !args.once && is_screen(&Environment::from_process());
    if !args.once {
        print(&place.welcome(style));
    }
    if !in_place {
        eprintln!("playing {} scenarios; this takes about 8 seconds …", SCENARIOS.len());
    }
    let scenes = play_all(api, demo, in_place.then(|| Rows::new(style))).await;
    let verdicts: Vec<_> = scenes.iter().map(|scene| verdict::judge(scene, &demo.sandbox)).collect();
    let mut text = String::from("\n");
    if !in_place {
        for scene in &scenes {
            text.push_str(&style.paint(&scene.heading(), Paint::Strong));
            text.push('\n');
            text.push_str(&rendered_within(&scene.timeline, style, COLUMNS));
            text.push('\n');
        }
        text.push_str(&verdict::table(&scenes, &verdicts, style));
    }
    text.push_str(verdict::total(&scenes, &verdicts).trim_start_matches(if in_place { "\n" } else { "" }));
    if !args.once {
        text.push_str(&place.farewell(style));
    }
    let printed = print(&text);
    // Without --once the demo continues after an unexpected end; its row shows it.
    if args.once && verdicts.iter().any(|verdict| !verdict.is_empty()) {
        return Err(Exit::Failed);
    }
    if printed == Exit::Done { Ok(scenes) } else { Err(printed) }
}

/// Whether the terminal can redraw rows in place.
fn is_screen(environment: &Environment) -> bool {
    io::stdout().is_terminal() && environment.get("TERM") != Some("dumb")
}

/// Plays all scenarios concurrently; returns the scenes in their order.
async fn play_all(api: &Api, demo: &Demo, rows: Option<Rows>) -> Vec<Scene> {
    let player = Player { api, sandbox: &demo.sandbox, rows };
    join_all(verdict::programme().map(|(scenario, expected)| player.play(scenario, expected))).await
}

/// Prints the timelines of codes that the user sends, until the demo ends.
async fn follow(api: &Api, mut follower: Follower, scenes: &[Scene]) {
    let style = Style::of(Stream::Stdout);
    let mut shown: HashSet<String> = scenes.iter().map(|scene| id_of(&scene.verification)).collect();
    let played = shown.clone();
    let mut is_first = true;
    loop {
        tokio::time::sleep(POLL_EVERY).await;
        // A failed poll is repeated; if the server has stopped, the demo ends anyway.
        let Ok(news) = follower.poll(api).await else { continue };
        for News { verification, events, start } in news {
            let id = id_of(&verification);
            // Events of the scenarios were shown already, and their codes expire in ten minutes.
            let is_noise = |event: &&Value| played.contains(&id) && (is_first || event["type"] == "expired");
            let events: Vec<_> = events.iter().filter(|event| !is_noise(event)).collect();
            let mut text = String::new();
            if shown.insert(id.clone()) {
                let number = verification["to"].as_str().unwrap_or_default();
                text.push_str(&format!("\n{}\n", style.paint(&format!("{number} · {id}"), Paint::Strong)));
            } else if played.contains(&id) && !events.is_empty() {
                text.push_str(&format!("\n{}\n", style.paint(&id, Paint::Strong)));
            }
            for event in events {
                text.push_str(&line_within(event, start, style, COLUMNS));
                text.push('\n');
            }
            print(&text);
        }
        is_first = false;
    }
}

/// The addresses that the demo prints.
struct Addresses {
    api: String,
    admin: String,
    phones: String,
    key: String,
    /// Shared by all console users.
    password: String,
}

impl Addresses {
    fn of(demo: &Demo) -> Self {
        Self {
            api: format!("http://{}", demo.app.addr()),
            admin: format!("http://{}", demo.app.admin_addr()),
            phones: demo.sandbox.url(),
            key: demo.api_key.expose_secret().to_owned(),
            password: demo.console_password.expose_secret().to_owned(),
        }
    }

    fn welcome(&self, style: Style) -> String {
        let Self { api, admin, phones, key, password } = self;
        let heading = style.paint(&format!("twotick {} demo", env!("CARGO_PKG_VERSION")), Paint::Strong);
        let seconds = DELIVER_WITHIN.as_secs();
        format!(
            "{heading} · nothing leaves this machine\n\n  \
             Phones    {phones}/\n            what people receive by WhatsApp and SMS\n  \
             Console   {admin}/console\n            the timeline of each code; sign in as operator, support or viewer\n            \
             with the password {password}\n  \
             API docs  {admin}/docs\n  \
             API       {api}\n  \
             API key   {key}\n\n\
             twotick, a stand-in for Meta and a stand-in for an SMS carrier run in this\n\
             process. Their data is in a folder that is deleted at the end.\n\n\
             Twelve people now ask for a code. Each gets it by WhatsApp, and by SMS if\n\
             WhatsApp does not deliver it within {seconds} seconds or reports a failure. The\n\
             last two digits of a number select the scenario:\n\n"
        )
    }

    fn farewell(&self, style: Style) -> String {
        let Self { api, admin, phones, key, password } = self;
        format!(
            "\n{}\n  {phones}/         the phones with their codes\n  \
             {admin}/console  the timeline of each code\n                                 \
             sign in as operator, password\n                                 {password}\n  \
             {admin}/docs     the API reference\n\n\
             {}\n  \
             KEY={key}\n  \
             curl -s {api}/v1/verifications \\\n    \
             -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' \\\n    \
             -d '{{\"to\": \"+4915228817301\"}}'\n\n  \
             Any number works; its last two digits select the scenario. The events are\n  \
             shown here. Read the code on the phones page, then check it:\n\n  \
             twotick check ID CODE --url {api} --key $KEY\n\n\
             The demo runs until Ctrl-C.\n",
            style.paint("Open this", Paint::Strong),
            style.paint("Try this", Paint::Strong),
        )
    }
}
