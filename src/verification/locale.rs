//! Language look-up by tag, as in BCP 47 (RFC 4647, section 3.4). Case is ignored, `-` and `_` are equal, and a longer
//! tag finds a shorter entry, one subtag less at a time.

use std::collections::BTreeMap;

/// Equivalent primary subtags. Devices still send the old ones (Java and Android `iw`, `in`, `ji`), and providers
/// use either. The first five pairs are all two-letter tags with a successor in IANA's registry; Filipino and Tagalog,
/// and Norwegian and its two written forms, stand in for each other, as in CLDR.
const TWINS: [&[&str]; 7] = [
    &["he", "iw"],
    &["id", "in"],
    &["yi", "ji"],
    &["jv", "jw"],
    &["ro", "mo"],
    &["fil", "tl"],
    &["no", "nb", "nn"],
];

/// The entry for the tag `wanted`, with the spelling of its name among the entries.
pub fn look_up<'a, V>(entries: &'a BTreeMap<String, V>, wanted: &str) -> Option<(&'a str, &'a V)> {
    let find = |tag: &str| {
        let entry = entries.get_key_value(tag);
        let entry = entry.or_else(|| entries.iter().find(|(name, _)| are_alike(name, tag)));
        entry.map(|(name, value)| (name.as_str(), value))
    };
    if let Some(found) = find(wanted) {
        return Some(found);
    }
    let wanted = canonical(wanted);
    let other = || other_form(&wanted).and_then(|form| find(&form));
    let mut range = wanted.as_str();
    while !range.is_empty() {
        // `zh` alone is nearly always in another script than that of `zh-Hant-TW`.
        if range == "zh"
            && let Some(found) = other()
        {
            return Some(found);
        }
        let found = find(range).or_else(|| twins(range).find_map(|twin| find(&twin)));
        if found.is_some() {
            return found;
        }
        range = shorter(range);
    }
    other()
}

/// Script and region stand in for each other: phones send `zh-Hant-TW` and `zh-TW` for the same, and providers name
/// their languages by region. Tried where the look-up itself finds nothing.
fn other_form(wanted: &str) -> Option<String> {
    let mut subtags = wanted.split('-');
    let (language, second, third) = (subtags.next()?, subtags.next()?, subtags.next());
    match third {
        Some(region) if second.len() == SCRIPT_LETTERS => Some(format!("{language}-{region}")),
        Some(_) | None if language == "zh" => {
            let script = CHINESE_SCRIPTS.iter().find(|(_, regions)| regions.contains(&second));
            script.map(|(script, _)| format!("zh-{script}"))
        }
        Some(_) | None => None,
    }
}

/// RFC 5646, section 2.2.3; no other second subtag has as many.
const SCRIPT_LETTERS: usize = 4;
/// CLDR, likely subtags.
const CHINESE_SCRIPTS: [(&str, &[&str]); 2] = [("hant", &["tw", "hk", "mo"]), ("hans", &["cn", "sg", "my"])];

/// The canonical spelling of a tag: `pt_BR` and `PT-br` become `pt-br`.
pub fn canonical(tag: &str) -> String {
    tag.replace('_', "-").to_ascii_lowercase()
}

fn are_alike(one: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.bytes().map(plain).eq(other.bytes().map(plain))
}

/// The tag without its last subtag, and without a single letter before that, which only introduces what follows it.
fn shorter(range: &str) -> &str {
    let Some((rest, _)) = range.rsplit_once('-') else { return "" };
    match rest.rsplit_once('-') {
        Some((before, single)) if single.len() == 1 => before,
        Some(_) | None => rest,
    }
}

/// The tag under each other name of its language.
fn twins(tag: &str) -> impl Iterator<Item = String> {
    let (language, rest) = tag.split_at(tag.find('-').unwrap_or(tag.len()));
    let names = TWINS.iter().filter(move |names| names.contains(&language)).flat_map(|names| names.iter());
    names.filter(move |name| **name != language).map(move |name| format!("{name}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(names: &[&'a str], wanted: &str) -> Option<&'a str> {
        let entries: BTreeMap<_, _> = names.iter().map(|name| ((*name).to_owned(), *name)).collect();
        look_up(&entries, wanted).map(|(name, value)| {
            assert_eq!(name, *value);
            *value
        })
    }

    #[test]
    fn a_tag_finds_its_language_however_it_is_spelled() {
        for (names, wanted, right) in [
            (&["en", "pt_BR"][..], "pt-BR", Some("pt_BR")),
            (&["en", "pt-BR"], "PT_br", Some("pt-BR")),
            (&["en", "de"], "DE", Some("de")),
            (&["en", "DE"], "de-AT", Some("DE")),
            (&["en", "de", "de-AT"], "de_at", Some("de-AT")),
            (&["en", "zh-Hant"], "zh-Hant-TW", Some("zh-Hant")),
            (&["en", "zh_hant", "zh"], "ZH-HANT-HK-x-private", Some("zh_hant")),
            (&["en", "zh"], "zh-Hant-TW", Some("zh")),
            (&["en", "sr_Latn_RS", "sr"], "sr-Latn-ME", Some("sr")),
            // Script and region stand in for each other.
            (&["en", "zh_TW", "zh"], "zh-Hant-TW", Some("zh_TW")),
            (&["en", "zh-CN"], "zh-Hans-CN", Some("zh-CN")),
            (&["en", "zh-Hant", "zh"], "zh_TW", Some("zh-Hant")),
            (&["en", "zh-Hans", "zh-Hant"], "zh-SG", Some("zh-Hans")),
            (&["en", "zh_TW", "zh-Hant"], "zh-Hant-TW", Some("zh-Hant")),
            (&["en", "zh_TW"], "zh-Hans-CN", None),
            (&["en", "uz_UZ"], "uz-Latn-UZ", Some("uz_UZ")),
            (&["en", "de", "de-AT"], "de-Latn-AT", Some("de")),
            // Single letters go with what they introduce (RFC 4647, 3.4).
            (&["en", "de"], "de-u-co-phonebk", Some("de")),
            (&["zh-Hant-CN-x", "zh-Hant-CN"], "zh-Hant-CN-x-private1", Some("zh-Hant-CN")),
            // A shorter tag never finds a longer entry.
            (&["en", "pt_BR"], "pt", None),
            (&["en"], "fr-FR", None),
            (&["en"], "english", None),
            (&["en"], "", None),
            (&["en"], "--", None),
            (&["en"], "-en", None),
            (&["en"], "en--", Some("en")),
        ] {
            assert_eq!(found(names, wanted), right, "{wanted} among {names:?}");
        }
    }

    #[test]
    fn old_and_new_names_of_a_language_find_each_other() {
        for (old, new) in [
            ("iw", "he"),
            ("in", "id"),
            ("ji", "yi"),
            ("jw", "jv"),
            ("mo", "ro"),
            ("tl", "fil"),
            ("nb", "no"),
            ("nn", "no"),
            ("nb", "nn"),
        ] {
            for (entry, wanted) in [(old, new), (new, old)] {
                assert_eq!(found(&["en", entry], wanted), Some(entry), "{wanted}");
                assert_eq!(
                    found(&["en", entry], &format!("{wanted}_XX")),
                    Some(entry),
                    "{wanted} with a region"
                );
                let regional = format!("{entry}-YY");
                assert_eq!(found(&["en", &regional], &format!("{wanted}_yy")), Some(regional.as_str()));
                assert_eq!(found(&["en", entry, wanted], wanted), Some(wanted), "its own name comes first");
            }
        }
        assert_eq!(found(&["in", "en"], "it"), None);
    }
}
