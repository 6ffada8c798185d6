//! The ceiling: the same web server with signature check and parsing, but nothing stored. It runs in its own process,
//! like the server.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use twotick::channel::webhook::{Callback, Incoming, Method, Webhook};
use twotick::channel::{self, Basis, Channel, Settings, Timeouts, meta};
use twotick::verification::values::{ChannelName, Timestamp};

use crate::Outcome;
use crate::server::{APP_SECRET, BUSINESS_ACCOUNT_ID, PHONE_NUMBER_ID};

/// The argument that makes this program run the ceiling.
pub const ARGUMENT: &str = "ceiling";

const BODY_LIMIT: usize = 3 * 1024 * 1024;
const SIGNATURE: &str = "x-hub-signature-256";

pub struct Ceiling {
    child: Child,
    pub addr: SocketAddr,
}

impl Ceiling {
    pub fn start() -> Outcome<Self> {
        let mut child =
            Command::new(std::env::current_exe()?).arg(ARGUMENT).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("no output of the ceiling")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self { addr: line.trim().parse()?, child })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Ceiling {
    fn drop(&mut self) {
        // Fails if it has already exited, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Uses the settings of the server's public listener.
#[actix_web::main]
pub async fn serve() -> Outcome<()> {
    let channel = web::Data::from(channel()?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let app = move || {
        App::new()
            .app_data(channel.clone())
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .route("/webhooks/{channel}", web::post().to(receive))
    };
    HttpServer::new(app)
        .workers(std::thread::available_parallelism().map_or(1, usize::from))
        .max_connections(4_096)
        .client_request_timeout(Duration::from_secs(10))
        .keep_alive(Duration::from_secs(75))
        .listen(listener)?
        .run()
        .await?;
    Ok(())
}

async fn receive(channel: web::Data<Channel>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let headers = request.headers().get_all(SIGNATURE);
    let headers: Vec<(&str, &[u8])> = headers.map(|value| (SIGNATURE, value.as_bytes())).collect();
    let (callback, now) = (channel.callback(), Timestamp::from_millis(0));
    let webhook = Webhook {
        method: Method::Post,
        callback,
        path: None,
        query: None,
        headers: &headers,
        body: &body,
        now,
    };
    match channel.receive(&webhook) {
        Ok(Incoming::Delivery(told)) if told.own.reports.len() == 1 => HttpResponse::Ok().finish(),
        Ok(_) => HttpResponse::BadRequest().finish(),
        Err(_) => HttpResponse::Unauthorized().finish(),
    }
}

fn channel() -> Outcome<Arc<Channel>> {
    let name = ChannelName::new("whatsapp");
    let timeouts = Timeouts { connect: Duration::from_secs(2), whole: Duration::from_secs(10) };
    let callback = Callback::new("http://127.0.0.1", &name);
    let settings = Settings::Meta(meta::Settings {
        graph_url: "http://127.0.0.1:9".to_owned(),
        graph_version: "v25.0".to_owned(),
        phone_number_id: PHONE_NUMBER_ID.to_owned(),
        business_account_id: BUSINESS_ACCOUNT_ID.to_owned(),
        access_token: "nothing is sent from here".into(),
        app_secrets: vec![APP_SECRET.into()],
        verify_token: "nobody-asks-for-it".into(),
    });
    let channels = channel::all([(Basis { name, callback, timeouts }, settings)])?;
    Ok(channels.into_values().next().ok_or("there is no channel")?)
}
