//! Room in sled's file is given back when what is alive in a segment of it was moved elsewhere, and sled 0.34.7 moves
//! one page each time it writes another page whole (`replace` in its `pagecache/mod.rs`). Rows that stand in order of
//! hashes leave something alive in nearly every segment, so of itself it falls behind without end: after 100,000
//! verifications 786 of 800 segments were less than half alive. Its thread that would catch up (`flusher.rs`) syncs
//! the file each time as well, which is not its to do here; so the store's own thread has it write a page whole more
//! often: one of a tree of its own, in which nothing stands.

/// A page is written whole with every eleventh change (`PAGE_CONSOLIDATION_THRESHOLD`).
const CHANGES_A_PAGE: usize = 11;
/// Rows for which one page more is moved: a turn that only adds to the journal moves none. With fewer the file would be
/// smaller and more would be written: docs/PROOF.md has what 3 costs.
const ROWS_A_PAGE: usize = 3;
const TREE: &[u8] = b"cleaner";
const KEY: &[u8] = b"c";

/// Pages that are to be moved because of a batch of `rows` rows.
pub fn pages_after(rows: usize) -> usize {
    rows / ROWS_A_PAGE
}

/// Has sled move so many pages.
pub fn clean(db: &sled::Db, pages: usize) -> sled::Result<()> {
    if pages == 0 {
        return Ok(());
    }
    let tree = db.open_tree(TREE)?;
    // To change it to what it is would be no change.
    for _ in 0..(pages * CHANGES_A_PAGE).div_ceil(2) {
        tree.insert(KEY, b"")?;
        tree.remove(KEY)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Bytes of the file after batches of what a store is made of: rows in order of time, by each a row by chance, and
    /// a journal of which little is kept.
    fn size(clean: impl Fn(&sled::Db, usize)) -> u64 {
        const AT_ONCE: u32 = 64;
        const KEPT: u32 = 10 * AT_ONCE;
        let journal = |number: u32| [&b"w"[..], &number.to_be_bytes()].concat();
        let folder = tempfile::tempdir().unwrap();
        let db = sled::Config::new().path(folder.path()).flush_every_ms(None).open().unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        for start in (0..38_400).step_by(AT_ONCE as usize) {
            let mut batch = sled::Batch::default();
            for number in start..start + AT_ONCE {
                batch.insert([&b"e"[..], &number.to_be_bytes()].concat(), vec![7; 500]);
                batch.insert([&b"t"[..], &rng.random::<[u8; 16]>()].concat(), b"");
            }
            batch.insert(journal(start), vec![7; 6_000]);
            batch.remove(journal(start.saturating_sub(KEPT)));
            db.apply_batch(batch).unwrap();
            clean(&db, 2 * AT_ONCE as usize);
            db.flush().unwrap();
        }
        assert_eq!(db.len(), 76_810, "nothing of it shows");
        db.size_on_disk().unwrap()
    }

    #[test]
    fn a_file_is_cleaned_as_it_grows() {
        let (without, with) = (size(|_, _| ()), size(|db, rows| clean(db, pages_after(rows)).unwrap()));
        assert!(with * 10 < without * 9, "{with} bytes, without {without}");
    }
}
