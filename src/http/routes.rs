//! Known paths, as collected from the registered routes: for logs, metrics and the answer to unknown paths.

use std::ops::Range;
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
    /// Their descriptions, as collected at registration.
    pub document: OpenApi,
}

pub struct Route {
    /// `/v1/verifications/{id}`
    pub pattern: String,
    /// From 0, in the order of the patterns.
    pub number: usize,
    /// Range of the part in braces in the pattern, if any. No pattern has two.
    open: Option<Range<usize>>,
    /// `GET, POST`
    allow: String,
}

/// Label of requests without a route.
pub const UNROUTED: &str = "none";

impl Routes {
    fn of(register: fn(&mut ServiceConfig)) -> Self {
        let (_, document) = App::new().into_utoipa_app().configure(register).split_for_parts();
        let routes = document.paths.paths.iter().enumerate().map(|(number, (pattern, item))| Route {
            pattern: pattern.clone(),
            number,
            open: pattern.find('{').zip(pattern.find('}').map(|last| last + 1)).map(|(from, to)| from..to),
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
    /// Matches the pattern; the part in braces matches any non-empty segment.
    fn is_met_by(&self, path: &str) -> bool {
        let Some(Range { start, end }) = self.open else { return path == self.pattern };
        let part = path.strip_prefix(&self.pattern[..start]);
        let part = part.and_then(|rest| rest.strip_suffix(&self.pattern[end..]));
        part.is_some_and(|part| !part.is_empty() && !part.contains('/'))
    }
}

/// Answers a request without a route: 405 if the path has a route for another method, else 404.
pub async fn unrouted(request: HttpRequest) -> HttpResponse {
    let listener = request.app_data::<web::Data<Listener>>();
    let problem = match listener.and_then(|listener| listener.routes.find(request.path())) {
        Some(route) => Problem::method_not_allowed(route.allow.clone()),
        None => Problem::new(Code::NotFound, "nothing exists at this path"),
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
    fn no_pattern_has_two_parts_in_braces() {
        for route in PUBLIC.all().chain(ADMIN.all()) {
            assert!(route.pattern.matches('{').count() <= 1, "{}", route.pattern);
        }
    }

    #[test]
    fn a_path_matches_only_its_pattern() {
        let route = |path| PUBLIC.find(path).map(|route| route.pattern.as_str());
        assert_eq!(route("/v1/verifications"), Some("/v1/verifications"));
        assert_eq!(route("/v1/verifications/ver_1"), Some("/v1/verifications/{id}"));
        assert_eq!(route("/v1/verifications/ver_1/check"), Some("/v1/verifications/{id}/check"));
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
            "/metrics",
        ] {
            assert_eq!(route(nowhere), None, "{nowhere}");
        }
    }
}
