//! Room in sled's file is given back when what is alive in a segment of it was moved elsewhere, and sled 0.34.7 moves
//! one page each time it writes another page whole (`replace` in its `pagecache/mod.rs`). Rows that stand in order of
//! hashes leave something alive in nearly every segment, so of itself it falls behind without end: after 100,000
//! verifications 786 of 800 segments were less than half alive. Its thread that would catch up (`flusher.rs`) syncs
//! the file each time as well, which is not its to do here; so the store's own thread has it write a page whole more
//! often: one of a tree of its own, in which nothing stands.

/// A page is written whole with every eleventh change (`PAGE_CONSOLIDATION_THRESHOLD`).
const CHANGES_A_PAGE: usize = 11;
/// Rows for which one page more is moved. At 3 a store is half as large as without, for a third more written.
const ROWS_A_PAGE: usize = 3;
const TREE: &[u8] = b"cleaner";
const KEY: &[u8] = b"c";

/// Has sled move what a batch of `rows` rows makes it necessary to move.
pub fn clean_after(db: &sled::Db, rows: usize) -> sled::Result<()> {
    let tree = db.open_tree(TREE)?;
    // What stays as it is would be no change.
    for _ in 0..(rows * CHANGES_A_PAGE).div_ceil(2 * ROWS_A_PAGE) {
        tree.insert(KEY, b"")?;
        tree.remove(KEY)?;
    }
    Ok(())
}
