//! Changes one byte of the data, or truncates a file. The damage is either detected and named, or harmless: everything
//! readable is unchanged. A wrong answer is never given.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::privilege::{alone, output};
use crate::proof::{self, figure, seed};
use crate::world::{Chance, Home, KEY, Providers, Times};

const TIMES: Times = Times { deliver_within: "9m", code_ttl: "10m" };
/// In the short form, opening reads all data; in the long form it does not.
const VERIFICATIONS: usize = 24;
const MANY_VERIFICATIONS: usize = 90;
/// The short form; `TWOTICK_PROOF_COUNT` sets another number.
const FLIPS: usize = 36;
const CUTS: usize = 16;
/// Faults per data folder, which is recreated before anything in it expires.
const FAULTS_A_FOLDER: usize = 120;
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// The answers to every possible query of the store.
type Content = BTreeMap<String, Value>;

struct Whole {
    folder: TempDir,
    home: Home,
    content: Content,
    ids: Vec<String>,
}

#[derive(Debug)]
enum Outcome {
    /// The message that names the damage.
    Detected(String),
    Harmless,
    Wrong(String),
}

impl Whole {
    /// Verifications without a due during the test, some finished and some not.
    async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let providers = Providers::start().await;
        let home = Home::new(folder.path(), folder.path(), &providers, &TIMES);
        let mut server = home.start().await;
        let mut ids = Vec::new();
        let verifications = if proof::count(0) > 0 { MANY_VERIFICATIONS } else { VERIFICATIONS };
        for n in 0..verifications {
            if n == verifications / 2 {
                // From here on there is a snapshot followed by a log.
                server.kill();
                server = home.start().await;
            }
            let (status, created) = create(&home, n).await.unwrap();
            assert_eq!(status, 201, "{created}");
            let id = created["id"].as_str().unwrap().to_owned();
            let message = created["messages"][0]["id"].as_str().unwrap();
            let told = home.statuses(&[(&format!("wamid.{n}"), "delivered", Some(message))]).await;
            assert_eq!(told.unwrap().status(), 200);
            let path = format!("/v1/verifications/{id}");
            let (path, body) = match n % 3 {
                0 => (format!("{path}/cancel"), json!({})),
                _ => (format!("{path}/check"), json!({ "code": "000000" })),
            };
            assert_eq!(home.post(&path, &body, None).await.unwrap().0, 200);
            ids.push(id);
        }
        settle(&home, &ids).await;
        server.signal("-TERM");
        assert!(server.ended_within(ENDS_WITHIN).await.is_some_and(|status| status.success()));
        output("cp", ["-r", text(&folder.path().join("data")), text(&folder.path().join("kept"))]);
        let mut whole = Self { folder, home, content: Content::new(), ids };
        let server = whole.home.start().await;
        whole.content = read_back(&whole.home, &whole.ids).await.expect("what is whole is read");
        drop(server);
        whole
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    /// The kept files: name and length.
    fn files(&self) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        collect(&self.kept(), &self.kept(), &mut files);
        files.sort();
        files
    }

    async fn with(&self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) -> Outcome {
        fs::remove_dir_all(self.data()).unwrap();
        output("cp", ["-r", text(&self.kept()), text(&self.data())]);
        let path = self.data().join(name);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();

        let before = self.home.log_length();
        let mut server = self.home.spawn(&[], &[]);
        let said = |server: &crate::world::Server| server.log().split_off(before.min(server.log().len()));
        if self.home.try_ready(&mut server).await.is_err() {
            let status = server.ended_within(ENDS_WITHIN).await.map(|status| status.code());
            let said = said(&server);
            let last = said.lines().last().unwrap_or_default().to_owned();
            return match status {
                Some(Some(1)) if names_damage(&last) => Outcome::Detected(last),
                _ => Outcome::Wrong(format!("it did not open and ended with {status:?}: {said}")),
            };
        }
        match read_back(&self.home, &self.ids).await {
            Ok(content) if content == self.content => Outcome::Harmless,
            Ok(content) => Outcome::Wrong(difference(&self.content, &content)),
            Err(refusal) => {
                let said = said(&server);
                match said.lines().find(|line| names_damage(line)) {
                    Some(line) => Outcome::Detected(line.to_owned()),
                    None => Outcome::Wrong(format!("{refusal}, and the log does not say why: {said}")),
                }
            }
        }
    }
}

fn collect(folder: &Path, root: &Path, files: &mut Vec<(String, u64)>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, root, files);
        } else {
            files.push((text(path.strip_prefix(root).unwrap()).to_owned(), entry.metadata().unwrap().len()));
        }
    }
}

fn names_damage(line: &str) -> bool {
    ["damaged", "master key", "format", "the store failed", "cannot be used"]
        .iter()
        .any(|word| line.contains(word))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn number(n: usize) -> String {
    format!("+491523{n:07}")
}

async fn create(home: &Home, n: usize) -> reqwest::Result<(u16, Value)> {
    let body =
        json!({ "to": number(n), "client_ref": format!("ref-{n}"), "metadata": { "cart": n.to_string() } });
    home.post("/v1/verifications", &body, Some(&format!("key-{n}"))).await
}

/// Waits until every attempt has an outcome, so that nothing changes any more.
async fn settle(home: &Home, ids: &[String]) {
    // An attempt interrupted by a kill is in doubt.
    let outcomes = ["send_accepted", "send_refused", "send_in_doubt"];
    for id in ids {
        loop {
            let timeline = home.get(&format!("/v1/verifications/{id}/timeline")).await;
            let kinds = timeline["events"].as_array().unwrap().iter().map(|event| event["type"].as_str());
            let kinds: Vec<_> = kinds.flatten().collect();
            if !kinds.contains(&"send_started") || kinds.iter().any(|kind| outcomes.contains(kind)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Queries in every way: id, timeline, lists, number, reference, idempotency key, and provider's message id.
async fn read_back(home: &Home, ids: &[String]) -> Result<Content, String> {
    let mut content = Content::new();
    let mut paths =
        vec!["/v1/verifications?limit=100".to_owned(), "/v1/verifications?status=canceled".to_owned()];
    for (n, id) in ids.iter().enumerate() {
        paths.push(format!("/v1/verifications/{id}"));
        paths.push(format!("/v1/verifications/{id}/timeline"));
        paths.push(format!("/v1/verifications?to={}", number(n).replace('+', "%2B")));
        paths.push(format!("/v1/verifications?client_ref=ref-{n}"));
    }
    for path in paths {
        let answer = home.client.get(home.url(&path)).bearer_auth(KEY).send().await;
        let answer = answer.map_err(|error| format!("{path}: {error}"))?;
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        if status != 200 {
            return Err(format!("{path}: {status}: {text}"));
        }
        let mut value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        // Cursors are sealed with a new nonce each time.
        value.as_object_mut().and_then(|value| value.remove("next_cursor"));
        content.insert(path, value);
    }
    for (n, id) in ids.iter().enumerate() {
        let (status, first) = create(home, n).await.map_err(|error| error.to_string())?;
        match status {
            200 | 201 => content.insert(format!("key-{n}"), json!([status, first["id"], first["version"]])),
            _ => return Err(format!("key-{n} of {id}: {status}: {first}")),
        };
        let told = home.statuses(&[(&format!("wamid.{n}"), "sent", None)]).await;
        let told = told.map_err(|error| error.to_string())?.status();
        if told != 200 {
            return Err(format!("wamid.{n} of {id}: {told}"));
        }
        let timeline =
            home.client.get(home.url(&format!("/v1/verifications/{id}/timeline"))).bearer_auth(KEY);
        let timeline = timeline.send().await.map_err(|error| error.to_string())?;
        let timeline: Value =
            serde_json::from_str(&timeline.text().await.unwrap_or_default()).unwrap_or_default();
        let kinds = timeline["events"].as_array().map(Vec::as_slice).unwrap_or_default();
        let kinds: Vec<_> = kinds.iter().map(|event| [&event["type"], &event["message_id"]]).collect();
        content.insert(format!("wamid.{n}"), json!(kinds));
    }
    Ok(content)
}

fn difference(was: &Content, is: &Content) -> String {
    let other = was.iter().find(|(path, value)| is.get(*path) != Some(value));
    other.map_or("more than there was".to_owned(), |(path, value)| {
        format!("{path} was {value} and is {}", is.get(path).unwrap_or(&Value::Null))
    })
}

#[derive(Default)]
struct Count {
    /// The size of the files of the last folder.
    bytes: u64,
    detected: usize,
    harmless: Vec<String>,
    wrong: Vec<String>,
    words: BTreeMap<String, usize>,
}

impl Count {
    fn note(&mut self, what: &str, outcome: Outcome) {
        match outcome {
            Outcome::Detected(line) => {
                self.detected += 1;
                let line: String = line.chars().filter(|letter| !letter.is_ascii_digit()).take(160).collect();
                *self.words.entry(line).or_default() += 1;
            }
            Outcome::Harmless => self.harmless.push(what.to_owned()),
            Outcome::Wrong(why) => self.wrong.push(format!("{what}: {why}")),
        }
    }

    fn all(&self) -> usize {
        self.detected + self.harmless.len() + self.wrong.len()
    }

    fn publish(&self, name: &str, seed: u64) {
        println!("what was said: {:#?}", self.words);
        println!("what did not matter: {:#?}", self.harmless);
        figure(
            name,
            &[
                ("seed", seed.to_string()),
                ("bytes", self.bytes.to_string()),
                ("detected", self.detected.to_string()),
                ("harmless", self.harmless.len().to_string()),
                ("wrong", self.wrong.len().to_string()),
            ],
        );
        assert!(self.wrong.is_empty(), "{:#?}", &self.wrong[..self.wrong.len().min(5)]);
        assert!(self.detected > 0, "no damage was noticed at all");
    }
}

/// Positions in all files in proportion to their length, with some in each file.
fn places(files: &[(String, u64)], wanted: usize, chance: &mut Chance) -> Vec<(String, u64)> {
    let mut places = Vec::new();
    let all: u64 = files.iter().map(|(_, length)| length).sum();
    for (name, length) in files.iter().filter(|(_, length)| *length > 0) {
        let share = (wanted as u64 * length / all).max(wanted as u64 / 12).max(2);
        let step = (length / share).max(1);
        let offsets = (0..share).map(|n| (n * step + chance.below(step)).min(length - 1));
        places.extend(offsets.map(|offset| (name.clone(), offset)));
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_named_or_does_not_matter() {
    let _alone = alone().await;
    let seed = seed();
    let mut chance = Chance(seed);
    let (wanted, mut count) = (proof::count(FLIPS), Count::default());
    while count.all() < wanted {
        let whole = Whole::make().await;
        let files = used(&whole);
        count.bytes = files.iter().map(|(_, length)| length).sum();
        for (name, offset) in places(&files, FAULTS_A_FOLDER.min(wanted - count.all()), &mut chance) {
            let with = 1 + u8::try_from(chance.below(255)).unwrap();
            let outcome = whole.with(&name, |bytes| bytes[usize::try_from(offset).unwrap()] ^= with).await;
            count.note(&format!("{name} at {offset} ^ {with:#04x}"), outcome);
        }
    }
    count.publish("flipped_bytes", seed);
}

/// sled writes whole segments: the part after the last non-zero byte was never used.
fn used(whole: &Whole) -> Vec<(String, u64)> {
    let used = |(name, _): (String, u64)| {
        let bytes = fs::read(whole.kept().join(&name)).unwrap();
        let last = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        (name, last)
    };
    whole.files().into_iter().map(used).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shortened_file_is_named_or_does_not_matter() {
    let _alone = alone().await;
    let seed = seed();
    let mut chance = Chance(seed);
    let (wanted, mut count) = (proof::count(CUTS), Count::default());
    while count.all() < wanted {
        let whole = Whole::make().await;
        let files = used(&whole);
        count.bytes = files.iter().map(|(_, length)| length).sum();
        for (name, length) in places(&files, FAULTS_A_FOLDER.min(wanted - count.all()), &mut chance) {
            let outcome = whole.with(&name, |bytes| bytes.truncate(usize::try_from(length).unwrap())).await;
            count.note(&format!("{name} cut to {length}"), outcome);
        }
        for (name, _) in &files {
            count.note(&format!("{name} emptied"), whole.with(name, Vec::clear).await);
        }
    }
    count.publish("shortened_files", seed);
}
