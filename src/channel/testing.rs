//! Test helpers for all kinds: settings, webhooks, and a server that speaks broken HTTP.

use std::time::Duration;

use super::webhook::{Callback, Incoming, Method, Webhook, WebhookError};
use super::{Basis, Provider, Timeouts};
use crate::verification::values::{ChannelName, Timestamp};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub fn basis(name: &str, timeout: Duration) -> Basis {
    let name = ChannelName::new(name);
    let timeouts = Timeouts { connect: Duration::from_secs(2), whole: timeout };
    Basis { callback: Callback::new("https://otp.example.com", &name), name, timeouts }
}

/// Sends a `POST` to the channel's webhook URL.
pub fn post(
    provider: &impl Provider,
    headers: &[(&str, &[u8])],
    body: &[u8],
) -> Result<Incoming, WebhookError> {
    ask(provider, Method::Post, None, headers, body)
}

/// Sends a `GET` to the channel's webhook URL.
pub fn get(provider: &impl Provider, query: &str) -> Result<Incoming, WebhookError> {
    ask(provider, Method::Get, Some(query), &[], b"")
}

fn ask(
    provider: &impl Provider,
    method: Method,
    query: Option<&str>,
    headers: &[(&str, &[u8])],
    body: &[u8],
) -> Result<Incoming, WebhookError> {
    let Basis { callback, .. } = basis("tested", Duration::from_secs(1));
    let now = Timestamp::from_millis(1_795_363_200_000);
    let webhook = Webhook { method, callback: &callback, path: None, query, headers, body, now };
    let heard = provider.receive(&webhook);
    let behind = provider.receive(&Webhook { path: Some("guess"), ..webhook });
    assert_eq!(behind.err(), Some(WebhookError::NoSuchAddress), "a path below its URL is refused");
    heard
}

/// The server's behaviour after it has read the request head.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Sends these bytes and closes.
    Bytes(Vec<u8>),
    /// Sends these bytes, then one every 50 ms.
    Drip(Vec<u8>),
    /// Sends these bytes, then an endless body.
    Endless(Vec<u8>),
    Silence,
    Reset,
}

/// Returns the server's URL; it runs until the test's runtime ends.
pub async fn raw_server(played: Behaviour) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client may hang up; the test asserts its outcome.
            let _ = play(stream, played.clone()).await;
        }
    });
    format!("http://{address}")
}

async fn play(mut stream: TcpStream, played: Behaviour) -> std::io::Result<()> {
    let _ = stream.read(&mut [0; 4096]).await?;
    match played {
        Behaviour::Bytes(bytes) => stream.write_all(&bytes).await,
        Behaviour::Drip(bytes) => {
            stream.write_all(&bytes).await?;
            loop {
                stream.write_all(b"H").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Behaviour::Endless(bytes) => {
            stream.write_all(&bytes).await?;
            loop {
                stream.write_all(&[b' '; 16 * 1024]).await?;
            }
        }
        Behaviour::Silence => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(())
        }
        Behaviour::Reset => {
            stream.set_zero_linger()?;
            Ok(())
        }
    }
}
