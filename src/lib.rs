pub mod verification;
