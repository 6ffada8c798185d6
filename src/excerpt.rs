//! Excerpts of texts that are too long.

use unicode_segmentation::GraphemeCursor;

/// Replaces the rest of a text.
pub const MARK: char = '…';
/// Longest grapheme that is kept whole, in characters: a family emoji with joiners fits. Longer ones, such as stacked
/// accents, may be cut.
const LONGEST_LETTER: usize = 64;

/// `text` if it `fits`, else its longest beginning that fits including `…`. Does not cut within a grapheme. `fits` must
/// hold for every prefix of a text for which it holds.
pub fn beginning(text: &str, fits: impl Fn(&str) -> bool) -> String {
    if fits(text) {
        return text.to_owned();
    }
    let marked = |end: usize| format!("{}{MARK}", &text[..end]);
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let fitting = ends.partition_point(|&end| fits(&marked(end)));
    let end = fitting.checked_sub(1).map_or(0, |last| ends[last]);
    marked(before_the_letter_at(text, end))
}

/// At most `most` characters of `text`.
pub fn of_chars(text: &str, most: usize) -> String {
    // Limits the scan of a very long text to what determines the last grapheme.
    let looked_at = text.char_indices().nth(most + LONGEST_LETTER).map_or(text.len(), |(end, _)| end);
    beginning(&text[..looked_at], |text| text.chars().nth(most).is_none())
}

fn before_the_letter_at(text: &str, end: usize) -> usize {
    let mut cursor = GraphemeCursor::new(end, text.len(), true);
    match cursor.is_boundary(text, 0) {
        Ok(false) => {
            let start = cursor.prev_boundary(text, 0).ok().flatten();
            start.filter(|start| end - start <= LONGEST_LETTER).unwrap_or(end)
        }
        Ok(true) | Err(_) => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_fitting_beginning_is_kept_with_an_ellipsis() {
        for (text, most, kept) in [
            ("", 0, ""),
            ("hello", 5, "hello"),
            ("hello", 4, "hel…"),
            ("hello", 1, "…"),
            ("hello", 0, "…"),
            ("字字字字", 3, "字字…"),
            ("สวัสดี", 4, "สวั…"),
            ("e\u{301}e\u{301}e\u{301}", 4, "e\u{301}…"),
            ("a👍🏽b", 3, "a…"),
            ("👨‍👩‍👧!", 5, "…"),
        ] {
            assert_eq!(of_chars(text, most), kept, "{most} of {text}");
        }
    }

    #[test]
    fn stacked_accents_are_cut() {
        let heap = format!("e{}", "\u{301}".repeat(500));
        assert_eq!(of_chars(&heap, 101).chars().count(), 101);
    }
}
