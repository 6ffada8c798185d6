//! Faults while the store opens: the process is killed at each write, and each call fails once. Afterwards it opens
//! with all acknowledged data.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::checker::{Answers, Seen, violations};
use crate::load::Load;
use crate::privilege::{alone, can_run, output};
use crate::proof::{self, figure, seed};
use crate::shim::shim;
use crate::world::{Chance, Home, Providers, Times};

/// Nothing is due during the test, so that every opening finds the same data.
const TIMES: Times = Times { deliver_within: "290s", code_ttl: "300s" };
const WRITES: &str = ",write,pwrite,ftruncate,fsync,fdatasync,sync_file_range,rename,unlink,mkdir,open,";
/// Per kind in the short form; the long form covers every call.
const PLACES: usize = 6;
const MOST_CALLS: usize = 400;
const SESSIONS: usize = 3;
/// Answered in each session.
const CREATES: usize = 8;
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// A data folder as left by a kill, with the answers given by then.
struct Left {
    folder: TempDir,
    library: PathBuf,
    providers: Providers,
    home: Home,
    answers: Answers,
    requests: Vec<Seen>,
    /// The number of requests when the data were restored; later ones belong to the current data.
    put_back_at: AtomicUsize,
}

impl Left {
    async fn make(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let providers = Providers::start().await;
        let home = Home::new(folder.path(), folder.path(), &providers, &TIMES);
        let mut server = home.start().await;
        let load = Load::start(&home, &providers, seed, &Arc::new(AtomicU64::new(0)));
        // Several sessions, so that there is a snapshot followed by a log.
        for session in 1..=SESSIONS {
            load.until_created(session * CREATES).await;
            server.kill();
            if session < SESSIONS {
                server = home.start().await;
            }
        }
        let (answers, requests) = (load.stop().await, providers.requests());
        // A leftover of an earlier kill, which sled would take for complete.
        fs::write(folder.path().join("data/snap.00000000000000ff.generating"), b"half").unwrap();
        let library = shim(folder.path());
        let put_back_at = AtomicUsize::new(requests.len());
        let left = Self { library, providers, home, answers, requests, put_back_at, folder };
        output("cp", ["-r", as_str(&left.path("data")), as_str(&left.path("kept"))]);
        left
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Restores the initial data.
    fn put_back(&self) {
        fs::remove_dir_all(self.path("data")).unwrap();
        output("cp", ["-r", as_str(&self.path("kept")), as_str(&self.path("data"))]);
        let _ = fs::remove_file(self.path("mark"));
        self.put_back_at.store(self.providers.requests().len(), Ordering::Relaxed);
    }

    /// Starts a server in which the `when`-th of `calls` fails. Returns how it ended (`None` if it came up), and
    /// whether there were so many calls.
    async fn open_with(&self, calls: &str, when: usize, then: &str) -> (Option<String>, bool) {
        self.put_back();
        let (data, mark, when) = (self.path("data"), self.path("mark"), when.to_string());
        let environment = [
            ("LD_PRELOAD", as_str(&self.library)),
            ("SHIM_FOLDER", as_str(&data)),
            ("SHIM_CALLS", calls),
            ("SHIM_WHEN", &when),
            ("SHIM_THEN", then),
            ("SHIM_MARK", as_str(&mark)),
        ];
        let before = self.home.log_length();
        let mut server = self.home.spawn(&[], &environment);
        let came_up = self.home.try_ready(&mut server).await.is_ok();
        // The fault may also hit a thread after the start.
        let ended = if came_up { None } else { server.ended_within(ENDS_WITHIN).await };
        let met = mark.exists();
        server.kill();
        let ended = ended.map(|status| format!("{status}: {}", server.log().split_off(before).trim()));
        (ended, met)
    }

    /// Opens the store again without a fault.
    async fn is_whole(&self, after: &str) {
        let mut server = self.home.spawn(&[], &[]);
        if let Err(why) = self.home.try_ready(&mut server).await {
            panic!("{after}: it does not open any more: {why}");
        }
        let shown = self.home.everything().await;
        let mut requests = self.requests.clone();
        requests.extend(self.providers.requests().split_off(self.put_back_at.load(Ordering::Relaxed)));
        let shown = if requests.len() > self.requests.len() { self.home.everything().await } else { shown };
        let wrong = violations(&self.answers, &requests, &shown);
        assert!(
            wrong.is_empty(),
            "{after}: {} violations: {:#?}",
            wrong.len(),
            &wrong[..wrong.len().min(20)]
        );
    }

    /// The number of such calls during an opening.
    async fn calls(&self, calls: &str) -> usize {
        let (mut few, mut many) = (0, MOST_CALLS);
        while many - few > 1 {
            let middle = usize::midpoint(few, many);
            match self.open_with(calls, middle, "KILL").await.1 {
                true => few = middle,
                false => many = middle,
            }
        }
        few
    }
}

fn as_str(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Up to [`PLACES`] of `all`; in the long form each of them.
fn places(all: usize, chance: &mut Chance) -> Vec<usize> {
    if proof::count(0) > 0 || all <= PLACES {
        return (1..=all).collect();
    }
    let step = all as u64 / PLACES as u64;
    (0..PLACES as u64).map(|n| (1 + n * step + chance.below(step)) as usize).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_write_of_an_opening_it_opens() {
    let _alone = alone().await;
    if !can_run("kills at each write of an opening", &["gcc"]) {
        return;
    }
    let seed = seed();
    let mut chance = Chance(seed);
    let left = Left::make(seed).await;
    let all = left.calls(WRITES).await;
    assert!(all > 10, "an opening makes {all} calls: the shim does not see them");
    let places = places(all, &mut chance);
    let mut kills = 0;
    for &place in &places {
        let (ended, met) = left.open_with(WRITES, place, "KILL").await;
        // The last calls may come after the start or not at all, because starts differ.
        let died = ended.is_none_or(|how| how.starts_with("signal: 9"));
        assert!(died, "call {place} of {all} did not end it");
        kills += usize::from(met);
        left.is_whole(&format!("killed at call {place} of {all}")).await;
    }
    assert!(kills * 10 >= places.len() * 8, "{kills} of {} calls were met", places.len());
    figure(
        "killed_while_opening",
        &[
            ("seed", seed.to_string()),
            ("calls", all.to_string()),
            ("kills", kills.to_string()),
            ("opened", "100%".to_owned()),
            ("answered", left.answers.promises().to_string()),
            ("lost", 0.to_string()),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_while_opening_ends_it_with_a_clear_line_and_harms_nothing() {
    let _alone = alone().await;
    if !can_run("failing calls of an opening", &["gcc"]) {
        return;
    }
    let seed = seed();
    let mut chance = Chance(seed);
    let left = Left::make(seed).await;
    for call in ["open", "fsync", "pwrite", "fdatasync"] {
        let calls = format!(",{call},");
        let all = left.calls(&calls).await;
        let (mut refused, mut came_up, mut missed) = (0, 0, 0);
        let places = places(all, &mut chance);
        for &place in &places {
            let (ended, met) = left.open_with(&calls, place, "EIO").await;
            missed += usize::from(!met);
            match ended {
                None => came_up += 1,
                Some(how) => {
                    refused += 1;
                    assert!(how.starts_with("exit status: 1: "), "{call} {place} of {all}: {how}");
                    let words = [
                        "cannot be used",
                        "cannot be read",
                        "cannot be written",
                        "the store failed",
                        "damaged",
                    ];
                    // Other threads may log after it.
                    let names_it = words.iter().any(|word| how.contains(word));
                    assert!(names_it, "{call} {place} of {all} ended with: {how}");
                }
            }
            left.is_whole(&format!("{call} {place} of {all} failed")).await;
        }
        assert!(missed <= 1 + places.len() / 5, "{missed} of {} calls were not met", places.len());
        figure(
            "eio_while_opening",
            &[
                ("seed", seed.to_string()),
                ("call", call.to_owned()),
                ("calls", all.to_string()),
                ("failed", (places.len() - missed).to_string()),
                ("refused", refused.to_string()),
                ("came_up", came_up.to_string()),
                ("lost", 0.to_string()),
            ],
        );
    }
}
