//! The queries of a policy.

use std::collections::BTreeMap;

use twotick::verification::policy::Content;

use crate::story::*;

#[test]
fn a_text_is_in_the_locale_else_in_its_language_else_in_the_default() {
    let entries = ["de-AT", "de", "en"].map(|locale| (locale.to_owned(), format!("in {locale}")));
    let by_locale = BTreeMap::from(entries);
    let template = Content::Template { name: "login_code".to_owned(), languages: by_locale.clone() };
    let by_id = Content::ById { ids: by_locale.clone() };
    for content in [Content::Text { by_locale }, template, by_id] {
        for (locale, found) in [
            ("de-AT", "in de-AT"),
            ("de-CH", "in de"),
            ("de_CH", "in de"),
            ("de", "in de"),
            ("DE-at", "in de-AT"),
            ("de-Latn-AT", "in de"),
            ("fr-FR", "in en"),
        ] {
            let name = found.trim_start_matches("in ");
            assert_eq!(content.in_locale(Some(locale), "en"), Some((name, found)), "{locale}");
        }
        assert_eq!(content.in_locale(None, "EN"), Some(("en", "in en")));
        assert_eq!(content.in_locale(Some("fr"), "nl"), None);
    }
}

#[test]
fn each_step_is_sent_in_its_best_locale() {
    let text = |locales: &[&str]| Content::Text {
        by_locale: locales.iter().map(|locale| ((*locale).to_owned(), "{code}".to_owned())).collect(),
    };
    let mut policy = policy();
    policy.steps[0].content = text(&["en", "pt_BR"]);
    policy.steps[1].content = text(&["en_GB", "en", "pt"]);
    for (requested, sent) in [
        (Some("pt-BR"), ["pt_BR", "pt"]),
        (Some("PT-pt"), ["en", "pt"]),
        (Some("en-gb"), ["en", "en_GB"]),
        (Some("fr"), ["en", "en"]),
        (None, ["en", "en"]),
    ] {
        assert_eq!([0, 1].map(|step| policy.locale_of(step, requested)), sent, "{requested:?}");
    }
    assert_eq!(policy.locale_of(7, Some("pt")), "en", "of a step that there is not, the default");
}

#[test]
fn each_wrong_code_reduces_the_attempts_left_to_zero() {
    let most = policy().max_checks;
    for failed in 0..=most {
        assert_eq!(policy().checks_left(failed), most - failed);
    }
    assert_eq!(policy().checks_left(most + 1), 0);
}

#[test]
fn hashes_are_printed_distinctly() {
    let hash = policy().hash();
    let digits: String = hash.0.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(format!("{hash:?}"), format!("PolicyHash({digits})"));
}
