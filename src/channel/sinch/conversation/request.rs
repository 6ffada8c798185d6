//! The request body of a message.

use serde_json::{Value, json};

use super::{Conversation, Via};
use crate::channel::{Content, Submission};

/// The minimum `ttl` that Sinch accepts.
const MIN_SECONDS: u64 = 3;

impl Conversation {
    /// `None` if this channel cannot send the step's content.
    pub(super) fn body(&self, submission: &Submission<'_>) -> Option<Value> {
        let message = match (self.via, &submission.content) {
            (Via::Whatsapp, Content::Template { name, language }) => {
                // Meta stores every button of an authentication template as a URL button.
                let parameters =
                    json!({"body[1]text": submission.code, "button[0]url[1]text": submission.code});
                let template =
                    json!({"template_id": name, "language_code": language, "parameters": parameters});
                json!({"template_message": {"channel_template": {"WHATSAPP": template}}})
            }
            (Via::Sms | Via::Rcs, Content::Text(text)) => json!({"text_message": {"text": text}}),
            (Via::Whatsapp, Content::Text(_) | Content::ById(_))
            | (Via::Sms | Via::Rcs, Content::Template { .. } | Content::ById(_)) => {
                return None;
            }
        };
        let channel = self.via.as_str();
        let identity = submission.to.trim_start_matches('+');
        let seconds = submission.valid_for.as_secs().max(MIN_SECONDS);
        let mut body = json!({
            "app_id": self.app_id,
            "processing_strategy": "DISPATCH_ONLY",
            "queue": "HIGH_PRIORITY",
            "ttl": format!("{seconds}s"),
            "recipient": {"identified_by": {"channel_identities": [{"channel": channel, "identity": identity}]}},
            "channel_priority_order": [channel],
            "message_content_type": "CONTENT_NOTIFICATION",
            "message": message,
            "message_metadata": submission.reference.to_string(),
            "callback_url": self.callback,
        });
        if let (Via::Sms, Some(sender)) = (self.via, &self.sender) {
            body["channel_properties"] = json!({"SMS_SENDER": sender});
        }
        Some(body)
    }
}
