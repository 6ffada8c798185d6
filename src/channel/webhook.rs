//! A provider's request to a channel's webhook URL, and its parsed result.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::Delivery;
use super::receipts::Receipt;
use super::signature::BadSignature;
use crate::verification::values::{ChannelName, MessageId, Timestamp};

/// The query parameter with our message id, in callback URLs given to a provider.
const REFERENCE: &str = "message";

/// The URL for one channel's webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback(String);

impl Callback {
    /// `public_url` is our base URL as seen by providers, without a trailing slash.
    pub fn new(public_url: &str, channel: &ChannelName) -> Self {
        Self(format!("{public_url}/webhooks/{channel}"))
    }

    /// The URL with `secret` as an additional path segment, for providers that authenticate this way.
    pub fn with_secret(&self, secret: &SecretString) -> Self {
        Self(format!("{self}/{}", utf8_percent_encode(secret.expose_secret(), NON_ALPHANUMERIC)))
    }

    /// An arbitrary URL, for the test vectors of providers' libraries.
    #[cfg(test)]
    pub fn at(address: &str) -> Self {
        Self(address.to_owned())
    }

    /// The URL for the reports of one message, for providers whose reports do not carry our id. [`Webhook::reference`]
    /// reads it.
    pub fn for_message(&self, reference: MessageId) -> String {
        format!("{self}?{REFERENCE}={reference}")
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One HTTP request, as received. Not `Debug`, because it may contain secrets.
pub struct Webhook<'a> {
    pub method: Method,
    /// The channel's own URL.
    pub callback: &'a Callback,
    /// The path after the channel's URL, as received.
    pub path: Option<&'a str>,
    /// The query string, as received.
    pub query: Option<&'a str>,
    /// Names are in lower case.
    pub headers: &'a [(&'a str, &'a [u8])],
    pub body: &'a [u8],
    pub now: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

impl<'a> Webhook<'a> {
    /// The URL as the provider called it, regardless of proxies.
    pub fn url(&self) -> String {
        let mut url = self.callback.to_string();
        for (separator, part) in [('/', self.path), ('?', self.query)] {
            if let Some(part) = part {
                url.push(separator);
                url.push_str(part);
            }
        }
        url
    }

    /// The value of a header that must occur exactly once; `name` in lower case.
    pub fn single_header(&self, name: &str) -> Result<&'a [u8], BadSignature> {
        let mut values = self.headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| *value);
        match (values.next(), values.next()) {
            (None, _) => Err(BadSignature::Missing),
            (Some(value), None) => Ok(value),
            (Some(_), Some(_)) => Err(BadSignature::Doubled),
        }
    }

    /// The decoded query parameters.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        form_urlencoded::parse(self.query.unwrap_or_default().as_bytes())
    }

    /// The message id in the URL ([`Callback::for_message`]).
    pub fn reference(&self) -> Option<MessageId> {
        self.query_pairs().find(|(name, _)| name == REFERENCE).and_then(|(_, id)| id.parse().ok())
    }

    /// Refuses a path below the channel's URL, for channels that use none.
    pub fn require_exact_path(&self) -> Result<(), WebhookError> {
        if self.path.is_none() { Ok(()) } else { Err(WebhookError::NoSuchAddress) }
    }
}

/// An authenticated request.
#[expect(
    clippy::large_enum_variant,
    reason = "created once per request, and almost always the large variant"
)]
#[derive(Debug)]
pub enum Incoming {
    /// Updates to store before the response.
    Delivery(SignedDelivery),
    /// A challenge to prove that the URL is ours.
    Challenge(Reply),
}

/// The content of an authenticated delivery.
#[derive(Debug)]
pub struct SignedDelivery {
    /// Updates for the channel whose URL was called.
    pub own: Delivery,
    /// Updates for other channels, whose secrets signed the delivery too.
    pub of_others: Vec<(ChannelName, Delivery)>,
    /// The response to send once everything is stored.
    pub reply: Reply,
    /// Set if the provider names its deliveries. A second delivery with the same receipt is refused once this one is
    /// stored ([`super::Channel::stored`]).
    pub receipt: Option<Receipt>,
}

/// The body of a response with status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// `None` for an empty body.
    pub content_type: Option<&'static str>,
    pub body: Cow<'static, str>,
}

impl Reply {
    pub const EMPTY: Self = Self { content_type: None, body: Cow::Borrowed("") };

    pub fn text(body: String) -> Self {
        Self { content_type: Some("text/plain; charset=utf-8"), body: Cow::Owned(body) }
    }
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookError {
    Signature(BadSignature),
    /// A challenge without the token agreed with the provider.
    Challenge,
    /// A method that the provider does not use; the value is the allowed one.
    Method(&'static str),
    /// The channel has no such URL.
    NoSuchAddress,
}

impl From<BadSignature> for WebhookError {
    fn from(bad: BadSignature) -> Self {
        Self::Signature(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook<'a>(callback: &'a Callback, path: Option<&'a str>, query: Option<&'a str>) -> Webhook<'a> {
        let now = Timestamp::from_millis(0);
        Webhook { method: Method::Post, callback, path, query, headers: &[], body: b"", now }
    }

    #[test]
    fn the_url_is_as_the_provider_wrote_it() {
        let callback = Callback::new("https://otp.example.com/way", &ChannelName::new("sms"));
        for (path, query, url) in [
            (None, None, "https://otp.example.com/way/webhooks/sms"),
            (Some("s3cr%20et"), None, "https://otp.example.com/way/webhooks/sms/s3cr%20et"),
            (None, Some(""), "https://otp.example.com/way/webhooks/sms?"),
            (None, Some("b=%31&a=+&b"), "https://otp.example.com/way/webhooks/sms?b=%31&a=+&b"),
            (Some("x"), Some("y"), "https://otp.example.com/way/webhooks/sms/x?y"),
        ] {
            assert_eq!(webhook(&callback, path, query).url(), url);
        }
    }

    #[test]
    fn the_callback_url_identifies_the_message() {
        let callback = Callback::new("https://otp.example.com", &ChannelName::new("sms"));
        let id: MessageId = "msg_01m81zrq00fay80j6hb7h45br1".parse().unwrap();
        let url = callback.for_message(id);
        let (address, query) = url.split_once('?').unwrap();
        assert_eq!(address, callback.to_string());
        assert_eq!(webhook(&callback, None, Some(query)).reference(), Some(id));
        for other in ["", "message=", "message=msg_1", "reference=msg_01m81zrq00fay80j6hb7h45br1"] {
            assert_eq!(webhook(&callback, None, Some(other)).reference(), None, "{other}");
        }
    }

    #[test]
    fn a_signature_header_must_occur_once() {
        let callback = Callback::new("https://otp.example.com", &ChannelName::new("sms"));
        let one: &[(&str, &[u8])] = &[("x-other", b"2"), ("x-signature-256", b"1")];
        let two: &[(&str, &[u8])] = &[("x-signature-256", b"1"), ("x-signature-256", b"1")];
        for (headers, only) in [
            (&[][..], Err(BadSignature::Missing)),
            (&one[..1], Err(BadSignature::Missing)),
            (one, Ok(&b"1"[..])),
            (two, Err(BadSignature::Doubled)),
        ] {
            let webhook = Webhook { headers, ..webhook(&callback, None, None) };
            assert_eq!(webhook.single_header("x-signature-256"), only);
        }
    }
}
