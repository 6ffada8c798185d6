//! A console client: a browser that keeps cookies and runs no scripts.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};

use crate::office::{Office, PASSWORD};

pub struct Visitor<'o> {
    office: &'o Office,
    pub cookies: BTreeMap<String, String>,
    /// Sent with every request.
    pub headers: HeaderMap,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl<'o> Visitor<'o> {
    pub fn new(office: &'o Office) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/html,*/*;q=0.8"));
        headers.insert("accept-language", HeaderValue::from_static("en"));
        Self { office, cookies: BTreeMap::new(), headers }
    }

    /// A signed-in user of the office.
    pub async fn signed_in(office: &'o Office, name: &str) -> Self {
        let mut visitor = Self::new(office);
        let answer = visitor.sign_in(name, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name}: {}", answer.body);
        visitor
    }

    /// Loads the form and submits it.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        let form = self.get("/console/sign-in").await;
        let csrf = form.csrf().unwrap_or_default();
        self.post("/console/sign-in", &[("csrf", &csrf), ("name", name), ("password", password)]).await
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.ask(Method::GET, path, None, &[]).await
    }

    /// Submits a form as a console page does.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = self.office.admin.clone();
        self.ask(
            Method::POST,
            path,
            Some(form(fields)),
            &[("origin", &origin), ("sec-fetch-site", "same-origin")],
        )
        .await
    }

    /// As `post`, with the token and the hidden fields of the form on `page`.
    pub async fn post_from(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let shown = self.get(page).await;
        let csrf = shown.csrf().unwrap_or_else(|| panic!("{page} has a form"));
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend_from_slice(fields);
        self.post(path, &all).await
    }

    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut all = self.headers.clone();
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            all.insert("cookie", HeaderValue::from_str(&pairs.join("; ")).expect("cookies are visible"));
        }
        if body.is_some() {
            all.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            all.insert(name, HeaderValue::from_str(value).expect("a value"));
        }
        let request = self.office.client.request(method, format!("{}{path}", self.office.admin)).headers(all);
        let request = match body {
            Some(body) => request.body(body),
            None => request,
        };
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let (status, headers) = (answer.status(), answer.headers().clone());
        for cookie in headers.get_all("set-cookie") {
            self.keep(cookie.to_str().expect("text"));
        }
        let bytes = answer.bytes().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        Answer { status, headers, body: String::from_utf8(bytes.to_vec()).expect("UTF-8") }
    }

    fn keep(&mut self, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let (name, value) = pair.split_once('=').expect("a name and a value");
        if attributes.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

impl Answer {
    /// Token of the first form.
    pub fn csrf(&self) -> Option<String> {
        let (_, after) = self.body.split_once("name=\"csrf\" value=\"")?;
        Some(after.split('"').next()?.to_owned())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap_or_default())
    }

    /// Target of the redirect.
    pub fn location(&self) -> &str {
        self.header("location")
    }
}

/// `application/x-www-form-urlencoded`.
pub fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

/// Percent-encodes for a query or a form.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
