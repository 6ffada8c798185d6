//! The console: pages on the admin listener for support staff, with the course of every verification.
//!
//! Pages are rendered on the server and work without JavaScript; scripts only add live updates, shortcuts and copying.
//! Like the API, a page only reads the store and sends it orders; it holds no rules. [`CurrentUser`] is the signed-in user,
//! [`Role::may`](crate::access::Role::may) decides on permissions, and [`CurrentUser::sees`] on the visible verifications.
//!
//! A page consists of a template in `console/templates` that extends `base.html`, a struct with a [`Frame`] and a table
//! of `words`, and a route in `routes`.

mod address;
mod alerts;
mod assets;
mod audit;
mod conversations;
mod cookies;
mod current_user;
mod detail;
mod device;
mod frame;
mod guard;
mod list;
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
mod sign_in_limit;
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

pub use current_user::{BackgroundUser, CurrentUser};
pub use frame::{Frame, Tab, page};
pub use refusal::Refusal;
pub use users::Action;

/// All console routes, below `/console`.
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
        .configure(detail::routes)
        .service(strip::fragment)
        .service(alerts::page)
        .service(conversations::list)
        .service(conversations::of_person)
        .service(audit::page)
        .service(audit::download);
}

/// The dependencies of the pages, provided by the composition root.
pub struct Services {
    pub store: Arc<dyn Store>,
    pub vault: Arc<Vault>,
    pub clock: Clock,
    /// The state of the service itself.
    pub monitor: Arc<Monitor>,
    pub lifecycle: watch::Receiver<Lifecycle>,
    /// If empty, every page only explains how to add a user.
    pub users: Changing<Vec<User>>,
    /// The default time zone for display.
    pub time_zone: TimeZone,
    /// Staff may type numbers in this country's national notation.
    pub home_country: Option<HomeCountry>,
    /// The console's URL for browsers, without a trailing slash. With https, cookies are marked `Secure`.
    pub public_url: String,
    /// Choices for the list's filters, as are the next two.
    pub apps: Changing<Vec<AppName>>,
    pub channels: Vec<ChannelName>,
    pub profiles: Vec<String>,
}

/// [`Services`] plus the state shared by all pages.
pub struct Console {
    services: Services,
    sessions: sessions::Sessions,
    passwords: password::Checker,
    sign_in_limit: sign_in_limit::SignInLimit,
    lookups: lookups::Lookups,
    /// Open live streams.
    streams: streams::Streams,
}

/// Creates the state shared by all workers.
pub fn share(services: Services) -> web::Data<Console> {
    let users = services.users.now();
    let sign_in_limit = sign_in_limit::SignInLimit::new(users.iter().map(|user| user.name.clone()));
    web::Data::new(Console {
        services,
        sessions: sessions::Sessions::default(),
        passwords: password::Checker::default(),
        sign_in_limit,
        lookups: lookups::Lookups::default(),
        streams: streams::Streams::default(),
    })
}

/// Registers the pages on the admin listener.
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
    /// Replaces the users. Ends the sessions of users who were removed or whose password changed.
    pub fn admit(&self, users: Vec<User>) {
        let before = self.users.now();
        self.sign_in_limit.add_users(users.iter().map(|user| user.name.clone()));
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

    /// Writes a user's action to the audit log before it is carried out. Not for actions on a verification: their
    /// command writes the entry itself. `detail` must not contain personal data.
    pub async fn record(
        &self,
        signed: &CurrentUser,
        action: AuditAction,
        detail: Option<String>,
    ) -> Result<(), Refusal> {
        self.record_by(signed.name.clone(), action, detail).await
    }

    async fn record_by(
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
