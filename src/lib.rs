pub mod clock;
pub mod verification;
