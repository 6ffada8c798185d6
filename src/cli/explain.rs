//! `twotick explain [CODE]`.

use serde::Serialize;

use super::{Exit, print};
use crate::channel::{meta, twilio};
use crate::explain::{Explanation, Origin, Text, all, explain, nearest};
use crate::language::Language;
use crate::verification::values::ErrorClass;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A code of twotick, Meta or a carrier: resend_too_early, 131026, http_403 [default: list all codes]
    code: Option<String>,
    /// Print JSON, in English
    #[arg(long)]
    json: bool,
    /// Language: en or de
    #[arg(long, default_value_t, conflicts_with = "json")]
    lang: Language,
}

pub(super) fn run(args: &Args) -> Exit {
    let format = if args.json { Format::Json } else { Format::Text(args.lang) };
    let Some(code) = &args.code else { return print(&listed(format)) };
    match explained(code, format) {
        Ok(text) => print(&text),
        Err(unknown) => {
            eprintln!("{unknown}");
            Exit::Failed
        }
    }
}

/// The output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text(Language),
    Json,
}

/// The code has no explanation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum UnknownCode {
    #[error("unknown code; did you mean `{0}`?")]
    DidYouMean(&'static str),
    #[error(
        "unknown code. Codes are names such as `resend_too_early`, Meta's numbers such as \
         131026, and HTTP statuses of a carrier such as `http_403`; `twotick explain` lists them. A carrier's own \
         codes are in its documentation"
    )]
    NothingLikeIt,
}

/// The explanation of `code` for stdout, with its line ending.
fn explained(code: &str, format: Format) -> Result<String, UnknownCode> {
    let entry = explain(code)
        .ok_or_else(|| nearest(code).map_or(UnknownCode::NothingLikeIt, UnknownCode::DidYouMean))?;
    Ok(match format {
        Format::Text(language) => text(entry, language),
        Format::Json => json(&Document::of(entry)),
    })
}

/// All codes with their titles for stdout, with a trailing newline.
fn listed(format: Format) -> String {
    match format {
        Format::Text(language) => {
            let width = all().map(|entry| entry.code().len()).max().unwrap_or_default();
            let line = |entry: &'static Explanation| {
                format!("{:width$}  {}\n", entry.code(), entry.text(language).title)
            };
            all().map(line).collect()
        }
        Format::Json => json(&all().map(Document::of).collect::<Vec<_>>()),
    }
}

/// An explanation as JSON, in English.
#[derive(Serialize)]
struct Document {
    code: &'static str,
    title: &'static str,
    cause: &'static str,
    who: &'static str,
    fix: &'static str,
    /// How the channel classes the code, for the codes of Meta and Twilio.
    class: Option<ErrorClass>,
}

impl Document {
    fn of(entry: &'static Explanation) -> Self {
        let Text { title, cause, fix } = entry.text(Language::English);
        let code = entry.code();
        // The codes of a range are of one class.
        let number = || code.split('-').next()?.parse().ok();
        let class = match entry.origin {
            Origin::Meta => number().and_then(meta::class_of_code),
            Origin::Twilio => number().and_then(twilio::class_of_code),
            Origin::Api | Origin::Attempt | Origin::Alert | Origin::Alarm | Origin::Sinch => None,
        };
        Self { code, title, cause, who: entry.who.as_str(Language::English), fix, class }
    }
}

fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect("strings and lists of them serialize") + "\n"
}

fn text(entry: &'static Explanation, language: Language) -> String {
    let Text { title, cause, fix } = entry.text(language);
    let [cause_label, who_label, fix_label] = match language {
        Language::English => ["cause", "who", "fix"],
        Language::German => ["Ursache", "Wer handelt", "Abhilfe"],
    };
    let who = entry.who.as_str(language);
    let width = [cause_label, who_label, fix_label].map(|label| label.chars().count()).into_iter().max();
    let width = width.unwrap_or_default();
    format!(
        "{} · {title}\n\n  {cause_label:width$}  {cause}\n  {who_label:width$}  {who}\n  {fix_label:width$}  {fix}\n",
        entry.code(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_code_is_explained_in_both_forms() {
        let text = explained("(#131026)", Format::Text(Language::English)).unwrap();
        assert!(text.starts_with("131026 · Message undeliverable\n"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&explained("131026", Format::Json).unwrap()).unwrap();
        assert_eq!(json["code"], "131026");
        assert_eq!(json["class"], "recipient");
        assert_eq!(json["who"], "the customer");
    }

    #[test]
    fn a_code_is_explained_in_german_too() {
        let text = explained("http_429", Format::Text(Language::German)).unwrap();
        assert!(
            text.starts_with("http_429 · Höchstrate des Anbieters erreicht\n\n  Ursache      Die "),
            "{text}"
        );
        assert!(text.contains("\n  Wer handelt  der SMS-Anbieter\n  Abhilfe      Senken Sie "), "{text}");
    }

    #[test]
    fn every_code_is_listed_once_with_its_title() {
        let text = listed(Format::Text(Language::English));
        assert_eq!(text.lines().count(), all().count());
        let line = text.lines().find(|line| line.starts_with("131026 ")).unwrap();
        assert!(line.ends_with("  Message undeliverable"), "{line}");
        assert!(text.lines().any(|line| line.starts_with("signatures_refused ")));
        assert!(listed(Format::Text(Language::German)).contains("Vorlage"));
        let json: serde_json::Value = serde_json::from_str(&listed(Format::Json)).unwrap();
        assert_eq!(json.as_array().map(Vec::len), Some(all().count()));
    }

    #[test]
    fn an_unknown_code_is_an_error_with_the_nearest_known_one() {
        assert_eq!(
            explained("resend_to_early", Format::Text(Language::English)),
            Err(UnknownCode::DidYouMean("resend_too_early"))
        );
        assert_eq!(explained("qqqqqqqq", Format::Json), Err(UnknownCode::NothingLikeIt));
    }
}
