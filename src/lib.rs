pub mod clock;
pub mod phone;
pub mod store;
pub mod vault;
pub mod verification;
