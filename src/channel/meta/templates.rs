//! Fetches the list of Meta's templates with their review status (Meta, message templates, `GET
//! /{WABA-ID}/message_templates`, November 2025).

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::Meta;
use crate::channel::exchange::require_response;
use crate::channel::wire::Text;
use crate::channel::{Template, TemplatesUnknown, lenient, scrub};
use crate::verification::values::Outcome;

/// Enough for the about 70 languages of a template and for other names with the same prefix.
const LIMIT: &str = "250";

impl Meta {
    /// All languages of the template `name`. One request, bounded by the channel's `timeout`.
    pub(super) async fn fetch_templates(&self, name: &str) -> Result<Vec<Template>, TemplatesUnknown> {
        let mut url = self.templates_url.clone();
        url.query_pairs_mut()
            .append_pair("name", name)
            .append_pair("fields", "name,language,status")
            .append_pair("limit", LIMIT);
        let request =
            self.endpoint.request(Method::GET, url).header(AUTHORIZATION, self.authorization.clone());
        let received = require_response(self.endpoint.send(request).await).map_err(reason)?;
        if !received.status.is_success() {
            return Err(TemplatesUnknown(format!("Meta answered {}", received.status)));
        }
        listed(&received.body.unwrap_or_default(), name)
    }

    #[cfg(fuzzing)]
    pub fn templates_of(body: &[u8], name: &str) -> Result<Vec<Template>, TemplatesUnknown> {
        listed(body, name)
    }
}

fn listed(body: &[u8], name: &str) -> Result<Vec<Template>, TemplatesUnknown> {
    let text = lenient::repaired(body).unwrap_or_default();
    let page: TemplatePage<'_> = serde_json::from_str(&text)
        .map_err(|_| TemplatesUnknown("Meta's response is not a list of templates".to_owned()))?;
    let named = page.data.into_iter().filter(|item| item.name.is(name));
    Ok(named.map(TemplateItem::into_template).collect())
}

fn reason(outcome: Outcome) -> TemplatesUnknown {
    match outcome {
        Outcome::Refused { error, .. } | Outcome::InDoubt { error } => TemplatesUnknown(error.title),
        Outcome::Accepted { .. } | Outcome::Held { .. } => {
            TemplatesUnknown("Meta's response is not a list of templates".to_owned())
        }
    }
}

#[derive(Deserialize)]
struct TemplatePage<'a> {
    #[serde(borrow)]
    data: Vec<TemplateItem<'a>>,
}

#[derive(Deserialize)]
struct TemplateItem<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    language: Text<'a>,
    #[serde(borrow, default)]
    status: Text<'a>,
}

impl TemplateItem<'_> {
    fn into_template(self) -> Template {
        let word =
            |text: &Text<'_>| text.get().and_then(scrub::token).unwrap_or_else(|| "unknown".to_owned());
        Template { language: word(&self.language), status: word(&self.status).to_ascii_uppercase() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_list_is_parsed_in_any_encoding() {
        for body in [
            b"\xef\xbb\xbf{\"data\":[{\"name\":\"code\",\"language\":\"de\",\"status\":\"APPROVED\"}]}".to_vec(),
            b"{\"data\":[{\"name\":\"code\",\"language\":\"de\",\"status\":\"APPROVED\",\"note\":\"f\xfcr\"}]}".to_vec(),
        ] {
            let approved = Template { language: "de".to_owned(), status: "APPROVED".to_owned() };
            assert_eq!(listed(&body, "code").unwrap(), [approved]);
        }
        assert!(listed(b"<html>", "code").is_err());
    }
}
