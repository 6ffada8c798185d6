//! The request body: one authentication template. It is the same for copy-code, one-tap and zero-tap buttons (Meta,
//! authentication templates, November 2025 to spring 2026).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::channel::Submission;

/// The body of `POST /{version}/{phone-number-id}/messages`. The sandbox parses it with the same type.
#[derive(Serialize, Deserialize)]
pub struct SendRequest<'a> {
    pub messaging_product: Cow<'a, str>,
    pub recipient_type: Cow<'a, str>,
    /// With `+`; otherwise Meta prepends the business number's country code.
    pub to: Cow<'a, str>,
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// Echoed in statuses; at most 512 characters.
    pub biz_opaque_callback_data: Cow<'a, str>,
    pub template: Template<'a>,
}

#[derive(Serialize, Deserialize)]
pub struct Template<'a> {
    pub name: Cow<'a, str>,
    pub language: Language<'a>,
    pub components: Vec<Component<'a>>,
}

#[derive(Serialize, Deserialize)]
pub struct Language<'a> {
    pub code: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Component<'a> {
    Body { parameters: Vec<Parameter<'a>> },
    Button { sub_type: Cow<'a, str>, index: Cow<'a, str>, parameters: Vec<Parameter<'a>> },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Parameter<'a> {
    Text { text: Cow<'a, str> },
}

/// The code occurs twice: in the text, and in the button, which Meta stores as a URL button.
pub(super) fn body<'a>(submission: &'a Submission<'_>, name: &'a str, language: &'a str) -> SendRequest<'a> {
    let code = || vec![Parameter::Text { text: submission.code.into() }];
    SendRequest {
        messaging_product: "whatsapp".into(),
        recipient_type: "individual".into(),
        to: submission.to.into(),
        kind: "template".into(),
        biz_opaque_callback_data: submission.reference.to_string().into(),
        template: Template {
            name: name.into(),
            language: Language { code: language.into() },
            components: vec![
                Component::Body { parameters: code() },
                Component::Button { sub_type: "url".into(), index: "0".into(), parameters: code() },
            ],
        },
    }
}
