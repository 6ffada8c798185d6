//! The core. (Filled below.)
pub mod values;
