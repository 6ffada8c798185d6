//! `twotick explain CODE`.

use super::{Exit, print};
use crate::explain::{Explanation, explain, nearest};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One of ours, Meta's or a carrier's: resend_too_early, 131026, http_403
    code: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let format = if args.json { Format::Json } else { Format::Text };
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
    Text,
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
        Format::Text => text(entry),
        Format::Json => {
            let json = serde_json::to_string_pretty(entry).expect("an entry is strings only"); // cannot fail then
            json + "\n"
        }
    })
}

fn text(entry: &Explanation) -> String {
    format!(
        "{} · {}\n\n  cause  {}\n  who    {}\n  fix    {}\n",
        entry.code(),
        entry.title,
        entry.cause,
        entry.who.as_str(),
        entry.fix
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_code_is_explained_in_both_forms() {
        let text = explained("(#131026)", Format::Text).unwrap();
        assert!(text.starts_with("131026 · Message undeliverable\n"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&explained("131026", Format::Json).unwrap()).unwrap();
        assert_eq!(json["code"], "131026");
        assert_eq!(json["class"], "recipient");
        assert_eq!(json["who"], "the customer");
    }

    #[test]
    fn an_unknown_code_is_an_error_with_the_nearest_known_one() {
        assert_eq!(
            explained("resend_to_early", Format::Text),
            Err(UnknownCode::DidYouMean("resend_too_early".into()))
        );
        assert_eq!(explained("qqqqqqqq", Format::Json), Err(UnknownCode::NothingLikeIt));
    }
}
