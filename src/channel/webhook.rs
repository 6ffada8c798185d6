//! A request of a provider to a channel's webhook address, and what a channel makes of it.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::Delivery;
use super::receipts::Receipt;
use super::signature::BadSignature;
use crate::verification::values::{ChannelName, MessageId, Timestamp};

/// The name of our message id in the query of an address that we gave a provider.
const REFERENCE: &str = "message";

/// Where a provider reports to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback(String);

impl Callback {
    /// `public_url` is how providers reach us, without a slash at its end.
    pub fn new(public_url: &str, channel: &ChannelName) -> Self {
        Self(format!("{public_url}/webhooks/{channel}"))
    }

    /// The address behind which `secret` stands, for a provider that proves itself by knowing it.
    pub fn behind(&self, secret: &SecretString) -> Self {
        Self(format!("{self}/{}", utf8_percent_encode(secret.expose_secret(), NON_ALPHANUMERIC)))
    }

    /// Any address, for the vectors of providers' libraries.
    #[cfg(test)]
    pub fn at(address: &str) -> Self {
        Self(address.to_owned())
    }

    /// For one message, where its reports would not name it otherwise. [`Webhook::reference`] reads it.
    pub fn of_message(&self, reference: MessageId) -> String {
        format!("{self}?{REFERENCE}={reference}")
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One request, as it arrived. Without `Debug`, because it may hold secrets.
pub struct Webhook<'a> {
    pub method: Method,
    /// The channel's own address.
    pub callback: &'a Callback,
    /// What stands behind that address: the part of the path after its slash, as it was written.
    pub path: Option<&'a str>,
    /// What stands behind the `?`, as it was written.
    pub query: Option<&'a str>,
    /// Names in lower case.
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
    /// The address as the provider called it, whatever stands between it and us.
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

    /// The value of a header that must be there once; `name` in lower case.
    pub fn only(&self, name: &str) -> Result<&'a [u8], BadSignature> {
        let mut values = self.headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| *value);
        match (values.next(), values.next()) {
            (None, _) => Err(BadSignature::Missing),
            (Some(value), None) => Ok(value),
            (Some(_), Some(_)) => Err(BadSignature::Doubled),
        }
    }

    /// The pairs of the query, decoded.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        form_urlencoded::parse(self.query.unwrap_or_default().as_bytes())
    }

    /// The message whose own address this is ([`Callback::of_message`]).
    pub fn reference(&self) -> Option<MessageId> {
        self.query_pairs().find(|(name, _)| name == REFERENCE).and_then(|(_, id)| id.parse().ok())
    }

    /// Refuses what stands behind the address of a channel that has given nobody such an address.
    pub fn at_the_address_itself(&self) -> Result<(), NotHeard> {
        if self.path.is_none() { Ok(()) } else { Err(NotHeard::NoSuchAddress) }
    }
}

/// What a provider wants.
#[expect(clippy::large_enum_variant, reason = "made once for each request, and nearly always the larger")]
#[derive(Debug)]
pub enum Heard {
    /// Something to be stored before it is answered.
    Told(Told),
    /// A question whether the address is ours.
    Asked(Reply),
}

/// What a delivery says.
#[derive(Debug)]
pub struct Told {
    /// For the channel whose address it came to.
    pub own: Delivery,
    /// For other channels, whose secrets signed it as well.
    pub of_others: Vec<(ChannelName, Delivery)>,
    /// What the provider wants to read once all of it is stored.
    pub reply: Reply,
    /// Of a provider that says of each delivery which one it is. The same is refused once it is stored
    /// ([`super::Channel::stored`]).
    pub receipt: Option<Receipt>,
}

/// The body of an answer with status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// `None` for no body.
    pub content_type: Option<&'static str>,
    pub body: Cow<'static, str>,
}

impl Reply {
    pub const EMPTY: Self = Self { content_type: None, body: Cow::Borrowed("") };

    pub fn text(body: String) -> Self {
        Self { content_type: Some("text/plain; charset=utf-8"), body: Cow::Owned(body) }
    }
}

/// Why nothing of a request was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHeard {
    Signature(BadSignature),
    /// A question from somebody who does not know what we agreed with the provider.
    Question,
    /// Providers of this kind use only this method.
    Method(&'static str),
    /// The channel has no such address.
    NoSuchAddress,
}

impl From<BadSignature> for NotHeard {
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
    fn a_message_is_found_again_by_its_address() {
        let callback = Callback::new("https://otp.example.com", &ChannelName::new("sms"));
        let id: MessageId = "msg_01m81zrq00fay80j6hb7h45br1".parse().unwrap();
        let url = callback.of_message(id);
        let (address, query) = url.split_once('?').unwrap();
        assert_eq!(address, callback.to_string());
        assert_eq!(webhook(&callback, None, Some(query)).reference(), Some(id));
        for other in ["", "message=", "message=msg_1", "reference=msg_01m81zrq00fay80j6hb7h45br1"] {
            assert_eq!(webhook(&callback, None, Some(other)).reference(), None, "{other}");
        }
    }

    #[test]
    fn a_signature_stands_in_one_header() {
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
            assert_eq!(webhook.only("x-signature-256"), only);
        }
    }
}
