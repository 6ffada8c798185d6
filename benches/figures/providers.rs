//! Stand-ins for Meta and a carrier: they accept every message immediately and record its arrival.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use twotick::clock::Clock;
use twotick::verification::values::{MessageId, Timestamp};

/// A message as received by its provider.
#[derive(Clone, Debug)]
pub struct Taken {
    pub message: MessageId,
    pub at: Timestamp,
    pub by: Provider,
    /// The code in the message.
    pub code: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Meta,
    Carrier,
}

/// Both stand-ins on one address, in their own thread until the program ends.
#[derive(Clone)]
pub struct Providers {
    pub addr: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Providers {
    pub fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let providers = Self { addr: listener.local_addr()?, taken: Arc::default() };
        let (runtime, serving) = (Builder::new_current_thread().enable_io().build()?, providers.clone());
        std::thread::Builder::new().name("providers".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("it does not block");
                while let Ok((stream, _)) = listener.accept().await {
                    let serving = serving.clone();
                    tokio::spawn(async move { serving.serve(stream).await });
                }
            });
        })?;
        Ok(providers)
    }

    /// All messages received since the last call.
    pub fn take(&self) -> Vec<Taken> {
        std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn count(&self, by: Provider) -> usize {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.iter().filter(|taken| taken.by == by).count()
    }

    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::with_capacity(4096);
        loop {
            while !is_whole(&buffer) {
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            }
            let answer = self.answer(&buffer).ok_or(ErrorKind::InvalidData)?;
            buffer.clear();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all((head + &answer).as_bytes()).await?;
        }
    }

    fn answer(&self, request: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(request).ok()?;
        if text.starts_with("GET ") {
            return Some(r#"{"data":[]}"#.to_owned());
        }
        let by = if text.starts_with("POST /sms ") { Provider::Carrier } else { Provider::Meta };
        let message: MessageId = text[text.find("\"msg_")? + 1..].get(..30)?.parse().ok()?;
        let taken = Taken { message, at: Clock::System.now(), by, code: code(text) };
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
        Some(match by {
            Provider::Meta => format!(
                r#"{{"messaging_product":"whatsapp","messages":[{{"id":"{}","message_status":"accepted"}}]}}"#,
                wamid(message)
            ),
            Provider::Carrier => format!(r#"{{"id":"sms-{message}"}}"#),
        })
    }
}

/// The first six consecutive digits at the start of a string or text; empty if there are none.
fn code(request: &str) -> String {
    let texts = request.split("\"text\":\"").skip(1);
    let mut codes =
        texts.filter_map(|text| text.get(..6)).filter(|six| six.bytes().all(|b| b.is_ascii_digit()));
    codes.next().unwrap_or_default().to_owned()
}

/// Meta's id of a message, of realistic length.
pub fn wamid(message: MessageId) -> String {
    format!("wamid.HBgNNDkxNTExMjM0NTY3OBUCABEYE{}", &message.to_string()[4..])
}

fn is_whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = std::str::from_utf8(&request[..head]).unwrap_or_default();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    request.len() >= head + 4 + length.unwrap_or(0)
}
