//! Which paths there are, told by the routes themselves: what is logged and counted as a route, and what is answered
//! where there is none.

use std::sync::LazyLock;

use actix_web::{App, HttpRequest, HttpResponse, ResponseError, web};
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::PathItem;
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use super::error::{Code, Problem};
use super::meters::Listener;

pub static PUBLIC: LazyLock<Routes> = LazyLock::new(|| Routes::of(|routing| super::public_routes(routing)));
pub static ADMIN: LazyLock<Routes> = LazyLock::new(|| Routes::of(|routing| super::admin_routes(routing)));

/// All routes of one listener.
pub struct Routes {
    routes: Vec<Route>,
    /// Their description, as it was collected when they were registered.
    pub document: OpenApi,
}

pub struct Route {
    /// `/v1/verifications/{id}`
    pub pattern: String,
    /// From 0, in the order of the patterns.
    pub number: usize,
    /// What comes before the first part in braces, if the pattern has one.
    before_open: Option<usize>,
    /// `GET, POST`
    allow: String,
}

/// How a request is called that meets no route.
pub const UNROUTED: &str = "none";

impl Routes {
    fn of(register: fn(&mut ServiceConfig)) -> Self {
        let (_, document) = App::new().into_utoipa_app().configure(register).split_for_parts();
        let routes = document.paths.paths.iter().enumerate().map(|(number, (pattern, item))| Route {
            pattern: pattern.clone(),
            number,
            before_open: pattern.find('{'),
            allow: allowed(item),
        });
        Self { routes: routes.collect(), document }
    }

    pub fn find(&self, path: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.is_met_by(path))
    }

    /// In the order of their numbers.
    pub fn all(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }
}

impl Route {
    /// A part in braces stands for any part that is not empty.
    fn is_met_by(&self, path: &str) -> bool {
        let Some(open) = self.before_open else { return path == self.pattern };
        let (before, open) = self.pattern.split_at(open);
        let Some(rest) = path.strip_prefix(before) else { return false };
        let mut parts = rest.split('/');
        let met = open.split('/').all(|wanted| match parts.next() {
            Some(part) if wanted.starts_with('{') => !part.is_empty(),
            Some(part) => part == wanted,
            None => false,
        });
        met && parts.next().is_none()
    }
}

/// What is answered where no route is: 405 where the path has one for another method, else 404.
pub async fn unrouted(request: HttpRequest) -> HttpResponse {
    let listener = request.app_data::<web::Data<Listener>>();
    let problem = match listener.and_then(|listener| listener.routes.find(request.path())) {
        Some(route) => Problem::method_not_allowed(route.allow.clone()),
        None => Problem::new(Code::NotFound, "there is nothing at this path"),
    };
    problem.error_response()
}

fn allowed(item: &PathItem) -> String {
    let methods = [
        ("GET", &item.get),
        ("HEAD", &item.head),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    let allowed: Vec<_> =
        methods.iter().filter(|(_, operation)| operation.is_some()).map(|(method, _)| *method).collect();
    allowed.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_in_braces_is_a_whole_part() {
        for route in PUBLIC.all().chain(ADMIN.all()) {
            for part in route.pattern.split('/').filter(|part| part.contains(['{', '}'])) {
                assert!(part.starts_with('{') && part.ends_with('}'), "{}", route.pattern);
            }
        }
    }

    #[test]
    fn a_path_meets_its_pattern_and_no_other() {
        let route = |path| PUBLIC.find(path).map(|route| route.pattern.as_str());
        assert_eq!(route("/v1/verifications"), Some("/v1/verifications"));
        assert_eq!(route("/v1/verifications/ver_1"), Some("/v1/verifications/{id}"));
        assert_eq!(route("/v1/verifications/ver_1/check"), Some("/v1/verifications/{id}/check"));
        assert_eq!(route("/webhooks/sms"), Some("/webhooks/{channel}"));
        assert_eq!(route("/webhooks/sms/x"), Some("/webhooks/{channel}/{secret}"));
        for nowhere in [
            "/",
            "",
            "/v1",
            "/v1/verifications/",
            "/v1/verifications/a/b",
            "/v1/verifications//check",
            "/v1/verifications/check/",
            "/v1/verifications/a/b/check",
            "/webhooks/",
            "/webhooks//x",
            "/webhooks/sms/",
            "/webhooks/sms/x/y",
            "/metrics",
        ] {
            assert_eq!(route(nowhere), None, "{nowhere}");
        }
    }
}
