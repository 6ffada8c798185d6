//! `twotick demo` as a newcomer runs it: once, on a terminal, and with its output in a file.

mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{stderr, stdout, twotick};
use twotick::clock::Stopwatch;

/// Upper bound for output, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_demo_plays_every_scenario_to_its_end() {
    let place = tempfile::tempdir().unwrap();
    let start = Stopwatch::start();
    let output = twotick().args(["demo", "--once"]).env("TMPDIR", place.path()).output().unwrap();
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}\n{}", stderr(&output));
    assert!(shown.contains("12 of 12 scenarios ended as expected."), "{shown}");
    assert_eq!(shown.matches("\n+120255501").count(), 24, "a timeline and a verdict for each: {shown}");
    // It takes about 7 s; other tests run in parallel.
    assert!(start.elapsed() < Duration::from_secs(40), "it took {:?}", start.elapsed());
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
    assert!(left.is_empty(), "the demo cleans up after itself: {left:?}");
    // Six digits in a row would be a code; phone numbers have eleven.
    let codes = shown.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| digits.len() == 6);
    let codes: Vec<_> = codes.filter(|digits| !digits.starts_with("1310")).collect();
    assert!(codes.is_empty(), "no code stands in a timeline: {codes:?}");
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

/// Short lines of the output.
const HEADINGS: [&str; 2] = ["Open this", "Try this"];

/// On a terminal of 80 columns: twelve rows updated in place, then the timeline of a code that the user sends.
#[test]
fn on_a_terminal_the_demo_updates_twelve_rows() {
    let place = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_twotick");
    let shell = format!("stty cols 80 rows 60; exec '{binary}' demo --listen 127.0.0.1:0");
    let mut command = Command::new("script");
    command.args(["--quiet", "--flush", "--return", "--command", &shell, "/dev/null"]);
    command.env("TMPDIR", place.path()).env("TERM", "xterm-256color").env_remove("NO_COLOR");
    let mut demo = Demo::start(&mut command);
    let shown = demo.shows("until Ctrl-C");
    let screen = Screen::of(&shown);
    // A line wider than the terminal would continue in the next row, and begin there as no line does.
    let goes_on = |row: &&String| !row.is_empty() && !row.starts_with([' ', '✓']) && row.len() < 20;
    let broken: Vec<_> =
        screen.rows.iter().filter(goes_on).filter(|row| !HEADINGS.contains(&row.as_str())).collect();
    assert!(broken.is_empty(), "{broken:?}: {screen}");
    let rows: Vec<_> = screen.rows.iter().filter(|row| row.starts_with(['✓', '✗'])).collect();
    assert_eq!(rows.len(), 12, "{screen}");
    for (number, row) in rows.iter().enumerate() {
        assert!(row.starts_with(&format!("✓ 01{number:02}  ")), "{row}");
    }
    assert!(rows[1].contains("delivered by sms") && rows[9].contains("undelivered"), "{screen}");
    assert!(rows[10].contains("canceled") && rows[11].contains("approved"), "{screen}");
    assert!(screen.text().contains("12 of 12 scenarios ended as expected."), "{screen}");
    assert!(!screen.text().contains("whatsapp accepted the message"), "no line for each event: {screen}");
    // Welcome, rows, total, farewell.
    assert!(screen.rows.len() < 60, "{} rows: {screen}", screen.rows.len());

    demo.follows_a_code(&screen.text());
    demo.input.as_mut().unwrap().write_all(&[3]).unwrap();
    assert_eq!(demo.ended(), Some(0));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "the demo cleans up after itself");
}

#[test]
fn in_a_file_the_demo_prints_finished_timelines() {
    let place = tempfile::tempdir().unwrap();
    let mut command = twotick();
    command.args(["demo", "--listen", "127.0.0.1:0"]).env("TMPDIR", place.path());
    let mut demo = Demo::start(&mut command);
    let shown = demo.shows("until Ctrl-C");
    assert!(!shown.contains('\x1b') && !shown.contains('\r'), "{shown}");
    assert_eq!(shown.matches("\n+120255501").count(), 24, "a timeline and a verdict for each: {shown}");
    let first = shown.find("+12025550100 ·").unwrap();
    let lines: Vec<_> = shown[first..].lines().skip(1).take_while(|line| !line.is_empty()).collect();
    assert!(lines.iter().all(|line| line.starts_with(' ')) && lines.len() >= 6, "not interleaved: {lines:?}");
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let shown = demo.follows_a_code(&shown);
    assert!(shown.lines().all(|row| row.chars().count() <= COLUMNS), "{shown}");
    assert!(Command::new("kill").args(["-TERM", &demo.child.id().to_string()]).status().unwrap().success());
    assert_eq!(demo.ended(), Some(0));
}

/// A running demo; killed on drop.
struct Demo {
    child: std::process::Child,
    input: Option<std::process::ChildStdin>,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Demo {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the demo runs");
        let output = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&output);
        let (input, mut stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                kept.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self { child, input, output }
    }

    /// The output, once it contains `wanted`.
    fn shows(&self, wanted: &str) -> String {
        self.shows_after("", wanted)
    }

    /// As `shows`, with `wanted` after `before`.
    fn shows_after(&self, before: &str, wanted: &str) -> String {
        let start = Stopwatch::start();
        loop {
            let shown = String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned();
            if shown.split_once(before).is_some_and(|(_, after)| after.contains(wanted)) {
                return shown;
            }
            assert!(start.elapsed() < PATIENCE, "{wanted} is not shown: {shown}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a code as the farewell text says; returns the screen once it was read.
    fn follows_a_code(&self, farewell: &str) -> String {
        let word = |before: &str| {
            let from = farewell.find(before).unwrap_or_else(|| panic!("{before}: {farewell}")) + before.len();
            farewell[from..].split_whitespace().next().unwrap().to_owned()
        };
        let (key, url) = (word("KEY="), word("curl -s "));
        let number = "+4915228817300";
        let client = support::http_client();
        let asked = client.post(url).bearer_auth(key).header("content-type", "application/json");
        let asked = asked.body(format!("{{\"to\": \"{number}\"}}")).send();
        let answer = tokio::runtime::Runtime::new().unwrap().block_on(asked).unwrap();
        assert_eq!(answer.status(), 201);
        let shown = self.shows_after("until Ctrl-C.", "reported that the message was read");
        let screen = Screen::of(&shown).text();
        let (_, after) = screen.split_once("until Ctrl-C.").unwrap();
        assert!(after.trim_start().starts_with(&format!("{number} · ver_")), "{after}");
        assert!(after.contains("The app requested a code"), "{after}");
        screen
    }

    fn ended(&mut self) -> Option<i32> {
        let start = Stopwatch::start();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the demo did not end");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Width of the terminal.
const COLUMNS: usize = 80;

/// The content of a terminal including scrollback, as far as the demo needs it.
#[derive(Default)]
struct Screen {
    rows: Vec<String>,
}

impl Screen {
    fn of(output: &str) -> Self {
        let mut rows: Vec<Vec<char>> = vec![Vec::new()];
        let (mut row, mut column) = (0, 0);
        let mut letters = output.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\r' => column = 0,
                '\n' => {
                    (row, column) = (row + 1, 0);
                    rows.resize_with(rows.len().max(row + 1), Vec::new);
                }
                '\x1b' => {
                    assert_eq!(letters.next(), Some('['), "only control sequences are known");
                    let mut number = String::new();
                    let end = loop {
                        match letters.next().expect("a sequence ends") {
                            digit @ ('0'..='9' | ';' | '?') => number.push(digit),
                            end => break end,
                        }
                    };
                    let count = number.parse().unwrap_or(1);
                    match end {
                        'A' => row = row.saturating_sub(count),
                        'B' => {
                            row += count;
                            rows.resize_with(rows.len().max(row + 1), Vec::new);
                        }
                        'C' => column += count,
                        'D' => column = column.saturating_sub(count),
                        'K' if number == "2" => rows[row].clear(),
                        'K' => rows[row].truncate(column),
                        'm' | 'h' | 'l' => {}
                        'J' => rows.truncate(row + 1),
                        other => panic!("what is {number}{other}?"),
                    }
                }
                letter => {
                    if column == COLUMNS {
                        (row, column) = (row + 1, 0);
                        rows.resize_with(rows.len().max(row + 1), Vec::new);
                    }
                    let line = &mut rows[row];
                    line.resize(line.len().max(column + 1), ' ');
                    line[column] = letter;
                    column += 1;
                }
            }
        }
        let text = |row: Vec<char>| row.into_iter().collect::<String>().trim_end().to_owned();
        Self { rows: rows.into_iter().map(text).collect() }
    }

    fn text(&self) -> String {
        self.rows.join("\n")
    }
}

impl std::fmt::Display for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\n{}", self.text())
    }
}
