//! Middleware of the admin listener.
//!
//! The listener needs no API key, and most of it is readable to everybody who reaches it. So it answers only requests
//! whose `Host` it knows: a web page could otherwise reach it from a visitor's browser under the page's own name (DNS
//! rebinding). Bodies have the same time limit as on the public listener.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Extensions, Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use actix_web::{Error, HttpMessage, ResponseError, rt};
use futures_util::Stream;
use tokio::time::Sleep;

use super::error::{Code, Problem};
use super::input::BODY_TIMEOUT;

/// Host names of the admin listener, besides loopback names and the address that was connected to.
#[derive(Clone, Debug, Default)]
pub struct Hosts(BTreeSet<String>);

impl Hosts {
    /// Takes names or IP addresses, without ports.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| canonical(&name)).collect())
    }

    /// Whether a `Host` header names this listener; `local` is the address that was connected to.
    fn admit(&self, host: &str, local: Option<IpAddr>) -> bool {
        let Some(name) = without_port(host) else { return false };
        let name = canonical(name);
        let ip: Option<IpAddr> = name.parse().ok();
        let is_loopback = name == "localhost"
            || name.ends_with(".localhost")
            || ip.is_some_and(|ip| ip.to_canonical().is_loopback());
        // A page served from this address was served by this listener.
        let is_local = ip.is_some() && ip.map(|ip| ip.to_canonical()) == local.map(|ip| ip.to_canonical());
        is_loopback || is_local || self.0.contains(&name)
    }
}

/// Strips the port: `example.com` from `example.com:8081`, `::1` from `[::1]:8081`. `None` if malformed.
fn without_port(host: &str) -> Option<&str> {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let (ip, rest) = rest.split_once(']')?;
        return (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)).then_some(ip);
    }
    match host.split_once(':') {
        Some((name, port)) => is_port(port).then_some(name),
        None => Some(host),
    }
    .filter(|name| !name.is_empty())
}

/// Normalizes a name: lower case, without the root's dot; IP addresses in their standard form.
fn canonical(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name.parse::<IpAddr>().map_or(name, |ip| ip.to_string())
}

/// Local address of a connection.
struct Local(IpAddr);

/// Records the local address of a connection for its requests.
pub fn connected(connection: &dyn Any, notes: &mut Extensions) {
    let stream = connection.downcast_ref::<rt::net::TcpStream>();
    if let Some(address) = stream.and_then(|stream| stream.local_addr().ok()) {
        notes.insert(Local(address.ip()));
    }
}

pub async fn guard<B: MessageBody + 'static>(
    hosts: web::Data<Hosts>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let local = request.conn_data::<Local>().map(|local| local.0);
    let mut named = request.headers().get_all(header::HOST).map(|host| host.to_str().unwrap_or(""));
    let is_ours = match (named.next(), named.next(), request.uri().host()) {
        // An absolute request target takes precedence over the header (RFC 9112, section 3.2.2).
        (_, None, Some(host)) => hosts.admit(host, local),
        (Some(host), None, None) => hosts.admit(host, local),
        (_, _, _) => false,
    };
    if !is_ours {
        let detail = "this host name is not known; [server] admin_hosts adds names";
        return Ok(request.error_response(Problem::new(Code::HostNotAllowed, detail)));
    }
    let is_late = Rc::new(Cell::new(false));
    if !matches!(request.parts().1, Payload::None) {
        let body = Timed { body: request.take_payload(), limit: None, is_late: Rc::clone(&is_late) };
        request.set_payload(Payload::Stream { payload: Box::pin(body) });
    }
    let response = next.call(request).await?;
    if is_late.get() {
        // An answer instead of an error: the body is held until the answer has been sent (`unread`).
        let detail = format!("it took longer than {} s", BODY_TIMEOUT.as_secs());
        return Ok(response.into_response(Problem::new(Code::RequestTimeout, detail).error_response()));
    }
    Ok(response.map_into_boxed_body())
}

/// A body that fails once its time is over.
struct Timed {
    body: Payload,
    /// Set unless the body arrived with its head.
    limit: Option<Pin<Box<Sleep>>>,
    is_late: Rc<Cell<bool>>,
}

impl Stream for Timed {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(chunk) = Pin::new(&mut self.body).poll_next(context)
            && !self.is_late.get()
        {
            return Poll::Ready(chunk);
        }
        let limit = self.limit.get_or_insert_with(|| Box::pin(tokio::time::sleep(BODY_TIMEOUT)));
        if limit.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.is_late.set(true);
        Poll::Ready(Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_listener_are_admitted() {
        let hosts = Hosts::new(["Console.Example.com", "10.1.2.3", "2001:DB8::5"].map(str::to_owned));
        let local = Some("192.0.2.7".parse().unwrap());
        for ours in [
            "localhost",
            "LOCALHOST:8081",
            "localhost.",
            "twotick.localhost:8081",
            "127.0.0.1:8081",
            "127.8.9.1",
            "[::1]:8081",
            "[::ffff:127.0.0.1]",
            "console.example.com",
            "CONSOLE.example.com.:443",
            "10.1.2.3:8081",
            "[2001:db8:0::5]:8081",
            "192.0.2.7:8081",
        ] {
            assert!(hosts.admit(ours, local), "{ours}");
        }
        for foreign in [
            "",
            ":8081",
            "evil.example",
            "console.example.com.evil.example",
            "evilconsole.example.com",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "10.1.2.4",
            "192.0.2.8",
            "0.0.0.0:8081",
            "[::1",
            "[::1]evil",
            "localhost:80:81",
            "localhost@evil.example",
            "user@localhost",
            "localhost/",
        ] {
            assert!(!hosts.admit(foreign, local), "{foreign}");
        }
        assert!(!Hosts::default().admit("console.example.com", None));
    }
}
