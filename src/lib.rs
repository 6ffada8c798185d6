pub mod cli;
pub mod clock;
pub mod config;
pub mod phone;
pub mod sandbox;
pub mod store;
pub mod vault;
pub mod verification;
