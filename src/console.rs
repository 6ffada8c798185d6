pub mod health;
pub mod spans;
pub mod case {
    pub mod bar;
}
