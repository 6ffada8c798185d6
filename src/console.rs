//! The console: pages on the admin listener on which support staff see what became of a code.
//!
//! Pages are rendered here and read without JavaScript; scripts only add live rows, keys and copying. A page reads the
//! store and hands it orders like the API does: no rule lives here. Who is signed in is [`Signed`], what they may do
//! says [`Role::may`], and whose verifications they see [`Signed::sees`].
//!
//! A page is a template in `console/templates` that extends `base.html`, a struct with a [`Frame`] and a table of
//! `words`, and a route in `routes`.

mod address;
mod alerts;
mod assets;
mod audit;
mod case;
mod conversations;
mod cookies;
mod device;
mod frame;
mod guard;
mod list;
mod look;
mod lookups;
mod masking;
pub mod password;
mod plain;
mod posted;
mod preferences;
mod refusal;
mod search;
mod sessions;
mod sign_in;
mod signed;
mod slow_down;
mod spans;
mod streams;
mod strip;
mod users;
mod words;

use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use jiff::tz::TimeZone;
use secrecy::ExposeSecret;
use tokio::sync::watch;

use crate::access::User;
use crate::changing::Changing;
use crate::clock::Clock;
use crate::health::Monitor;
use crate::lifecycle::Lifecycle;
use crate::phone::HomeCountry;
use crate::store::{Audit, AuditAction, Order, Store};
use crate::vault::Vault;
use crate::verification::values::{AppName, ChannelName, UserName};

pub use frame::{Frame, Place, page};
pub use refusal::Refusal;
pub use signed::{Signed, Watching};
pub use users::Action;

/// All routes of the console, below `/console`.
fn routes(config: &mut ServiceConfig) {
    config
        .service(assets::file)
        .service(sign_in::form)
        .service(sign_in::submit)
        .service(sign_in::sign_out)
        .service(sign_in::sign_out_everywhere)
        .service(preferences::change)
        .service(list::page)
        .service(list::filter)
        .service(list::follow)
        .service(list::download)
        .service(search::page)
        .service(search::ask)
        .configure(case::routes)
        .service(strip::fragment)
        .service(alerts::page)
        .service(conversations::list)
        .service(conversations::of_person)
        .service(audit::page)
        .service(audit::download);
}

/// What the pages work with. The composition root fills it.
pub struct Services {
    pub store: Arc<dyn Store>,
    pub vault: Arc<Vault>,
    pub clock: Clock,
    /// How twotick itself is.
    pub monitor: Arc<Monitor>,
    pub lifecycle: watch::Receiver<Lifecycle>,
    /// Without any, every page only says how to make one.
    pub users: Changing<Vec<User>>,
    /// Times are shown in it unless a user chooses another.
    pub time_zone: TimeZone,
    /// In its notation staff may write numbers without a country code.
    pub home_country: Option<HomeCountry>,
    /// How browsers reach the console, without a slash at its end. Where it is https, cookies are bound to that.
    pub public_url: String,
    /// To choose from in the list's filters.
    pub apps: Changing<Vec<AppName>>,
    pub channels: Vec<ChannelName>,
    pub profiles: Vec<String>,
}

/// [`Services`] with what the pages share besides.
pub struct Console {
    services: Services,
    sessions: sessions::Sessions,
    passwords: password::Checker,
    slow_down: slow_down::SlowDown,
    lookups: lookups::Lookups,
    /// Pages that are followed.
    streams: streams::Streams,
}

/// One for all workers.
pub fn share(services: Services) -> web::Data<Console> {
    let users = services.users.now();
    let slow_down = slow_down::SlowDown::new(users.iter().map(|user| user.name.clone()));
    web::Data::new(Console {
        services,
        sessions: sessions::Sessions::default(),
        passwords: password::Checker::default(),
        slow_down,
        lookups: lookups::Lookups::default(),
        streams: streams::Streams::default(),
    })
}

/// Registers all pages, for the admin listener.
pub fn configure(config: &mut ServiceConfig, console: &web::Data<Console>) {
    config.service(
        web::scope("/console")
            .app_data(console.clone())
            .wrap(from_fn(guard::guard))
            .configure(routes)
            .default_service(web::to(refusal::unrouted)),
    );
}

impl Console {
    /// From the next request on these are the users. Sessions of those who are gone, or whose password is another, end.
    pub fn admit(&self, users: Vec<User>) {
        let before = self.users.now();
        self.slow_down.know(users.iter().map(|user| user.name.clone()));
        let is_as_before = |user: &&User| {
            let now = users.iter().find(|now| now.name == user.name);
            now.is_some_and(|now| now.password_hash.expose_secret() == user.password_hash.expose_secret())
        };
        let gone: Vec<_> =
            before.iter().filter(|user| !is_as_before(user)).map(|user| user.name.clone()).collect();
        self.users.change_to(users);
        for name in gone {
            self.sessions.close_all(&name);
        }
    }

    /// Writes to the audit log what a user does, before it is done. For what has no verification: a command to one
    /// writes its own entry. `detail` holds nothing personal.
    pub async fn record(
        &self,
        signed: &Signed,
        action: AuditAction,
        detail: Option<String>,
    ) -> Result<(), Refusal> {
        self.record_of(signed.name.clone(), action, detail).await
    }

    async fn record_of(
        &self,
        by: UserName,
        action: AuditAction,
        detail: Option<String>,
    ) -> Result<(), Refusal> {
        let entry = Audit { at: self.clock.now(), by, action, verification: None, reason: None, detail };
        self.store.execute(vec![Order::Audit(entry)]).await?;
        Ok(())
    }
}

impl std::ops::Deref for Console {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}
