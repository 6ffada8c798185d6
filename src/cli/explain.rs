//! `twotick explain CODE`.

use super::{Exit, print};
use crate::explain::{Explanation, Text, explain, nearest};
use crate::language::Language;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One of ours, Meta's or a carrier's: resend_too_early, 131026, http_403
    code: String,
    /// As JSON, which is English
    #[arg(long)]
    json: bool,
    /// In which language: en or de
    #[arg(long, default_value_t, conflicts_with = "json")]
    lang: Language,
}

pub(super) fn run(args: &Args) -> Exit {
    let format = if args.json { Format::Json } else { Format::Text(args.lang) };
    match explained(&args.code, format) {
        Ok(text) => print(&text),
        Err(unknown) => {
            eprintln!("{unknown}");
            Exit::Failed
        }
    }
}

/// How the explanation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text(Language),
    Json,
}

/// A code that stands in no table.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum UnknownCode {
    #[error("nothing is known about this code; did you mean `{0}`?")]
    DidYouMean(String),
    #[error(
        "nothing is known about this code. Codes are names such as `resend_too_early`, Meta's numbers such as \
         131026, and HTTP statuses of a carrier such as `http_403`; a carrier's own codes are in its documents"
    )]
    NothingLikeIt,
}

/// What `code` means, for stdout, with its line ending.
fn explained(code: &str, format: Format) -> Result<String, UnknownCode> {
    let entry = explain(code)
        .ok_or_else(|| nearest(code).map_or(UnknownCode::NothingLikeIt, UnknownCode::DidYouMean))?;
    Ok(match format {
        Format::Text(language) => text(entry, language),
        Format::Json => {
            let json = serde_json::to_string_pretty(entry).expect("an entry is strings only"); // cannot fail then
            json + "\n"
        }
    })
}

fn text(entry: &Explanation, language: Language) -> String {
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
            text.starts_with("http_429 · Anbieter will weniger Nachrichten\n\n  Ursache      Die "),
            "{text}"
        );
        assert!(text.contains("\n  Wer handelt  der SMS-Anbieter\n  Abhilfe      Senken Sie "), "{text}");
    }

    #[test]
    fn an_unknown_code_is_an_error_with_the_nearest_known_one() {
        assert_eq!(
            explained("resend_to_early", Format::Text(Language::English)),
            Err(UnknownCode::DidYouMean("resend_too_early".into()))
        );
        assert_eq!(explained("qqqqqqqq", Format::Json), Err(UnknownCode::NothingLikeIt));
    }
}
