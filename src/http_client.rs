//! HTTP clients of every part: one TLS provider, no redirects, no retries.

use std::error::Error;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

/// A client for requests to `url`. TLS trusts the system's CA certificates; an `http` address needs neither these nor
/// the environment's proxy.
pub fn builder(url: &str) -> ClientBuilder {
    // Fails only where the process has a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().redirect(Policy::none()).retry(reqwest::retry::never());
    // Without redirects an `http` address never leads to TLS.
    if url.starts_with("http://") { builder.no_proxy().tls_certs_only([]) } else { builder }
}

/// The innermost cause of a failed request, in the words of the operating system or of TLS. The outer errors say only
/// "error sending request".
pub fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
