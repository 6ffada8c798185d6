//! The pages in a real Chromium, driven via WebDriver. All cases share one server, sandbox and driver; each has its own
//! browser.
//!
//! ```text
//! cargo test --test browser              all cases
//! cargo test --test browser -- handset   cases with this in their name
//! tests/screenshots                      the screenshots for the README instead
//! ```

mod browser;
mod detail;
mod driver;
mod handset;
#[path = "../support/hostile.rs"]
mod hostile;
mod list;
#[path = "../support/office.rs"]
mod office;
mod pages;
mod screenshots;
mod signing;
mod staff;
mod untrusted;
mod world;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use twotick::clock::Stopwatch;
use world::{Shared, World};

/// Concurrent browsers: one renders while others wait. The longest case starts first.
const AT_ONCE: usize = 3;

struct Case {
    name: &'static str,
    run: fn(Shared) -> BoxFuture<'static, ()>,
}

macro_rules! cases {
    ($($room:ident::$name:ident,)*) => {
        [$(Case {
            name: concat!(stringify!($room), "::", stringify!($name)),
            run: |world| $room::$name(world).boxed(),
        }),*]
    };
}

static CASES: &[Case] = &cases![
    untrusted::hostile_texts_run_nowhere_and_break_nothing,
    handset::a_code_arrives_live_and_can_be_copied,
    handset::the_phones_are_accessible_with_and_without_messages,
    signing::in_and_out_with_the_keyboard_alone,
    signing::the_language_is_the_browsers_then_the_users_then_the_choice,
    signing::theme_and_zone_are_chosen_and_stay,
    list::a_filter_is_shared_by_its_address,
    list::what_is_new_is_told_and_nothing_moves,
    list::the_search_box_says_what_it_recognised,
    list::keys_work_outside_fields_alone,
    list::everything_reads_without_scripts,
    detail::a_number_leads_to_a_verdict_in_both_languages,
    detail::rows_arrive_live_without_a_jump,
    detail::a_number_is_revealed_for_a_reason_and_on_the_record,
    detail::a_code_is_sent_again_and_canceled_by_staff,
    detail::ids_and_the_link_are_copied,
    pages::all_are_accessible_in_english,
    pages::all_are_accessible_in_german,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |case: &&Case| {
        let mut filters = arguments.iter().filter(|argument| !argument.starts_with("--")).peekable();
        filters.peek().is_none() || filters.any(|filter| case.name.contains(filter.as_str()))
    };
    let chosen: Vec<&Case> = CASES.iter().filter(wanted).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        chosen.iter().for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let pictures = arguments.iter().find_map(|argument| argument.strip_prefix("--screenshots="));
    if let Some(folder) = pictures {
        runtime.block_on(take_pictures(Path::new(folder)));
        return ExitCode::SUCCESS;
    }
    let failed = runtime.block_on(run(&chosen));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn take_pictures(folder: &Path) {
    let world = World::start().await;
    screenshots::take(&world, folder).await;
    world.stop().await;
}

/// Runs the cases and returns the names of the failed ones.
async fn run(chosen: &[&Case]) -> Vec<&'static str> {
    let watch = Stopwatch::start();
    let world = Arc::new(World::start().await);
    let results: Vec<(&'static str, bool)> = stream::iter(chosen)
        .map(|case| {
            let world = Arc::clone(&world);
            async move {
                let watch = Stopwatch::start();
                let passed = AssertUnwindSafe((case.run)(world)).catch_unwind().await.is_ok();
                let word = if passed { "ok" } else { "FAILED" };
                println!("test {} ... {word} ({:.1} s)", case.name, watch.elapsed().as_secs_f32());
                (case.name, passed)
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let world = Arc::into_inner(world).expect("all cases have ended");
    world.stop().await;
    let failed: Vec<_> = results.iter().filter(|(_, passed)| !passed).map(|(name, _)| *name).collect();
    let (passed, took) = (results.len() - failed.len(), watch.elapsed().as_secs_f32());
    println!("\nbrowser: {passed} passed, {} failed in {took:.1} s", failed.len());
    failed.iter().for_each(|name| println!("    {name}"));
    failed
}
