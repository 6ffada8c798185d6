//! What a provider that keeps templates says about them.

/// A template in one language, as the provider knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The provider's, such as `en_US`.
    pub language: String,
    /// The provider's word; only `APPROVED` is sent. An open list.
    pub status: String,
}

/// The provider did not say which templates there are. Why, without any secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TemplatesUnknown(pub(super) String);
