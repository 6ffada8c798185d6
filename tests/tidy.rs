//! Rules that no compiler checks: dependencies between modules, and documents that must match the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Allowed dependencies of modules. `cli`, `app` and `main` compose the program and may use everything; only they may
/// use each other. A module may always use itself.
const MAY_USE: [(&str, &[&str]); 29] = [
    ("verification", &[]),
    ("clock", &["verification"]),
    ("phone", &["verification", "digits"]),
    ("language", &[]),
    ("texts", &[]),
    ("excerpt", &[]),
    ("digits", &[]),
    ("failpoint", &[]),
    ("changing", &[]),
    ("access", &["verification", "language"]),
    ("retention", &[]),
    ("hex", &[]),
    ("http_client", &[]),
    ("lifecycle", &[]),
    ("sse", &["lifecycle"]),
    ("explain", &["language"]),
    ("config", &["access", "retention", "language", "phone", "texts", "channel", "verification"]),
    ("vault", &["verification", "phone", "excerpt"]),
    ("store", &["verification", "clock", "failpoint"]),
    ("channel", &["verification", "excerpt", "clock", "failpoint", "hex", "http_client"]),
    ("courier", &["store", "channel", "vault", "verification", "clock", "failpoint", "changing"]),
    ("sweeps", &["store", "channel", "vault", "verification", "clock", "changing", "retention"]),
    ("health", &["store", "verification", "clock"]),
    ("timeline", &["store", "verification", "language", "explain"]),
    (
        "http",
        &[
            "access",
            "store",
            "channel",
            "vault",
            "verification",
            "clock",
            "phone",
            "explain",
            "timeline",
            "language",
            "digits",
            "failpoint",
            "changing",
            "health",
            "lifecycle",
            "sse",
        ],
    ),
    (
        "console",
        &[
            "access",
            "store",
            "vault",
            "verification",
            "explain",
            "timeline",
            "language",
            "phone",
            "excerpt",
            "clock",
            "http",
            "changing",
            "health",
            "hex",
            "lifecycle",
            "sse",
        ],
    ),
    ("sandbox", &["channel", "clock", "hex", "http_client"]),
    ("app", EVERYTHING),
    ("cli", EVERYTHING),
];
const EVERYTHING: &[&str] = &["*"];

/// A longer file contains more than one thing, unless it is listed with a reason.
const LONGEST_FILE: usize = 800;
const LONGER: [(&str, &str); 1] = [("src/store/contract.rs", "the suite of tests that every backend passes")];

/// Compiled for tests only, with the dependencies that tests need.
const TEST_ROOMS: [&str; 7] = [
    "src/channel/testing.rs",
    "src/store/contract.rs",
    "src/store/contract",
    "src/store/sled/away.rs",
    "src/store/sled/damage.rs",
    "src/store/sled/moved.rs",
    "src/store/sled/rebuilt.rs",
];

/// Whether this is a file or folder called `tests`, or one of [`TEST_ROOMS`].
fn is_for_tests(file: &Path) -> bool {
    let is_named_so = file.with_extension("").components().any(|part| part.as_os_str() == "tests");
    is_named_so || TEST_ROOMS.iter().any(|room| file.starts_with(room))
}

#[test]
fn modules_have_only_allowed_dependencies() {
    let mut wrong = Vec::new();
    for file in files("src", "rs") {
        let module = module_of(&file);
        if module == "lib" || module == "main" || is_for_tests(&file) {
            continue;
        }
        let (_, allowed) = MAY_USE.iter().find(|(name, _)| *name == module).unwrap_or_else(|| {
            panic!("{} is of no room that is known; add {module} to the list", file.display())
        });
        for used in used_modules(&without_tests(&read(&file))) {
            if used != module && *allowed != EVERYTHING && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: {module} may not use {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let impure = [
        "tokio",
        "actix",
        "reqwest",
        "SystemTime",
        "Instant",
        "std::env",
        "std::fs",
        "rand::",
        "tracing",
        "async ",
    ];
    for file in files("src/verification", "rs") {
        let text = without_tests(&read(&file));
        for word in impure {
            assert!(!text.contains(word), "{} says `{word}`", file.display());
        }
    }
}

#[test]
fn the_readme_shows_the_states_as_the_code_does() {
    let core = read("src/verification.rs");
    let drawn: Vec<_> = core
        .lines()
        .skip_while(|line| !line.contains("```text"))
        .take_while(|line| *line != "//! ```")
        .map(|line| line.trim_start_matches("//!").strip_prefix(' ').unwrap_or(""))
        .collect();
    assert!(drawn.len() > 10, "there is a diagram in src/verification.rs");
    let readme = read("README.md");
    let (_, after) = readme.split_once("<!-- state-diagram -->").expect("README has the diagram's marker");
    let (shown, _) = after.split_once("<!-- /state-diagram -->").expect("README has the diagram's end");
    let shown: Vec<_> = shown.trim().lines().filter(|line| *line != "```").collect();
    assert_eq!(shown, drawn);
}

#[test]
fn the_readme_names_every_table_of_the_configuration() {
    let readme = read("README.md");
    let config = read("config.toml");
    for table in config.lines().filter(|line| line.starts_with('[')) {
        let kind = table.trim_matches(['[', ']']).split('.').next().expect("a header has a name");
        let named = [format!("[{kind}]"), format!("[[{kind}]]"), format!("[{kind}.NAME]")];
        assert!(named.iter().any(|name| readme.contains(name.as_str())), "README does not name [{kind}]");
    }
}

#[test]
fn every_file_named_in_readme_and_architecture_exists() {
    for document in ["README.md", "ARCHITECTURE.md"] {
        for name in read(document).split('`').skip(1).step_by(2) {
            let is_path = name.contains('/') && !name.contains([' ', '{', '<', '…', '=', ':', '*']);
            let is_ours = ["tests/", "src/", "fixtures/", "benches/", "deploy/", "docs/"]
                .iter()
                .any(|room| name.starts_with(room));
            if is_path && is_ours {
                assert!(Path::new(name).exists(), "{document} names {name}");
            }
        }
    }
}

#[test]
fn no_file_holds_more_than_one_thing() {
    for file in files("src", "rs") {
        let lines = read(&file).lines().count();
        let excused = LONGER.iter().any(|(name, _)| Path::new(name) == file);
        assert!(
            lines <= LONGEST_FILE || excused,
            "{} has {lines} lines; what two rooms is it?",
            file.display()
        );
    }
}

#[test]
fn no_file_names_a_development_machine() {
    // Assembled here, so that this file does not contain the names.
    let places =
        [["/wo", "rk/"], ["/tmp", "/wt"], ["/ro", "ot/"], ["/ho", "me/"]].map(|parts| parts.concat());
    let mut texts =
        vec![PathBuf::from("README.md"), "ARCHITECTURE.md".into(), "config.toml".into(), "tests/run".into()];
    for folder in ["src", "tests", "benches", "deploy", "fixtures"] {
        for extension in ["rs", "md", "toml", "json", "service", "html", "js", "css"] {
            texts.extend(files(folder, extension));
        }
    }
    for file in texts {
        let text = read(&file);
        for place in &places {
            assert!(!text.contains(place.as_str()), "{} names {place}", file.display());
        }
    }
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("tests run at the root of the project") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(files(path.to_str().expect("our names are UTF-8"), extension));
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
    found
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// `http` for `src/http.rs` and everything in `src/http/`.
fn module_of(file: &Path) -> String {
    let below = file.strip_prefix("src").expect("it is a file of src");
    let first = below.components().next().expect("a file has a name").as_os_str();
    Path::new(first).file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

/// Tests are at the end of a file, and may use anything.
fn without_tests(text: &str) -> String {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned()
}

fn used_modules(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let after_crate =
        code.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>());
    after_crate
        .map(|rest| {
            rest.chars()
                .take_while(|letter| letter.is_ascii_lowercase() || *letter == '_')
                .collect::<String>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}
