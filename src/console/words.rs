//! The texts of the console's pages, in every language of the staff: one [`words!`] table for each page.

/// Declares the `Words` of a page, one text a line: its key or pattern, then the English text, then the German one. A
/// text that lacks a language does not compile.
///
/// - `texts` are fields.
/// - `match` declares a method from a value to its text, with an arm for each value.
/// - `find` declares a method from a name to its text, `None` for any other name.
macro_rules! words {
    (
        texts { $($(#[$doc:meta])* $key:ident: $english:literal, $german:literal;)+ }
        $(match $match:ident($of:ty) { $($pattern:pat => $match_english:literal, $match_german:literal;)+ })*
        $(find $find:ident { $($name:literal => $find_english:literal, $find_german:literal;)+ })*
    ) => {
        pub struct Words {
            lang: $crate::language::Language,
            $($(#[$doc])* pub $key: &'static str,)+
        }

        const ENGLISH: Words = Words { lang: $crate::language::Language::English, $($key: $english,)+ };
        const GERMAN: Words = Words { lang: $crate::language::Language::German, $($key: $german,)+ };

        impl Words {
            pub fn of(language: $crate::language::Language) -> &'static Self {
                language.choose(&ENGLISH, &GERMAN)
            }

            $(pub fn $match(&self, of: $of) -> &'static str {
                match of { $($pattern => self.lang.choose($match_english, $match_german),)+ }
            })*

            $(pub fn $find(&self, name: &str) -> Option<&'static str> {
                Some(match name {
                    $($name => self.lang.choose($find_english, $find_german),)+
                    _ => return None,
                })
            })*
        }
    };
}

pub mod audit;
pub mod case;
pub mod conversations;
pub mod frame;
pub mod health;
pub mod list;
pub mod refusal;
pub mod search;
pub mod sign_in;
