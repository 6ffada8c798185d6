//! What the pages say, in both languages: a struct of texts for each page and a constant of it for each language, so
//! that a text that one language lacks does not compile.

pub mod audit;
pub mod case;
pub mod conversations;
pub mod frame;
pub mod health;
pub mod list;
pub mod refusal;
pub mod search;
pub mod sign_in;
