//! The provider's list of message templates.

/// One language version of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The provider's language code, such as `en_US`.
    pub language: String,
    /// The provider's status, an open set. Only `APPROVED` templates are sent.
    pub status: String,
}

/// The template list could not be fetched. The text is the reason, without secrets.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TemplatesUnknown(pub(super) String);
