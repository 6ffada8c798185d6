//! The OpenAPI document matches the routes.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::support::{Answered, Server, server};

/// Every route of the contract, repeated by hand.
const CONTRACT: &[(&str, &str)] = &[
    ("GET", "/healthz"),
    ("GET", "/openapi.json"),
    ("GET", "/problems/{code}"),
    ("GET", "/readyz"),
    ("GET", "/v1/inbound"),
    ("GET", "/v1/verifications"),
    ("GET", "/v1/verifications/{id}"),
    ("GET", "/v1/verifications/{id}/stream"),
    ("GET", "/v1/verifications/{id}/timeline"),
    ("GET", "/webhooks/{channel}"),
    ("HEAD", "/healthz"),
    ("HEAD", "/readyz"),
    ("POST", "/v1/verifications"),
    ("POST", "/v1/verifications/{id}/cancel"),
    ("POST", "/v1/verifications/{id}/check"),
    ("POST", "/v1/verifications/{id}/next"),
    ("POST", "/v1/verifications/{id}/resend"),
    ("POST", "/webhooks/{channel}"),
];

async fn document(server: &Server) -> Value {
    server.plain(Method::GET, "/openapi.json").send().await.unwrap().value().await
}

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'_ Value)| (path.clone(), item.as_object().unwrap().clone());
    let mut operations = Vec::new();
    for (path, item) in paths.iter().map(of_path) {
        for method in item.keys() {
            operations.push((method.to_uppercase(), path.clone(), &paths[&path][method]));
        }
    }
    operations
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_has_all_routes_of_the_contract() {
    let server = server().await;
    let document = document(&server).await;
    let described: BTreeSet<_> =
        operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    let contract = CONTRACT.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(described, contract);
}

/// In both directions: every described operation is served, and no other method is.
#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_described_operations_are_served() {
    let server = server().await;
    let document = document(&server).await;
    let paths: BTreeSet<_> = operations(&document).into_iter().map(|(_, path, _)| path).collect();
    let described: BTreeSet<_> =
        operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    for path in paths {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            let url =
                path.replace("{channel}", "whatsapp").replace("{code}", "internal").replace("{id}", "ver_x");
            let response = server.request(method.parse().unwrap(), &url).send().await.unwrap();
            let is_served = response.status() != 405;
            assert_eq!(is_served, described.contains(&(method.to_owned(), path.clone())), "{method} {path}");
            if is_served && response.status() == 404 {
                let body: Value = response.value().await;
                assert_eq!(body["detail"], "there is no such verification", "{method} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_fully_described() {
    let server = server().await;
    let document = document(&server).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["securitySchemes"]["api_key"]["scheme"], "bearer");
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
        assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path}");
        assert_eq!(operation.get("security").is_some(), path.starts_with("/v1/"), "{method} {path}");
        assert!(
            operation["responses"]["422"]["content"].get("application/problem+json").is_some(),
            "{method} {path} tells its problems"
        );
        assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            let described = response["description"].as_str().is_some_and(|text| !text.is_empty());
            let elsewhere = response["$ref"].is_string();
            assert!(described || elsewhere, "{method} {path} {status}");
        }
    }
}

/// Answers have the fields that the schemas describe, and every reference resolves.
#[tokio::test(flavor = "multi_thread")]
async fn answers_match_the_schemas() {
    let server = server().await;
    let document = document(&server).await;
    let schema = |name: &str| {
        let properties = document["components"]["schemas"][name]["properties"].as_object();
        properties.unwrap_or_else(|| panic!("no schema {name}")).keys().cloned().collect::<BTreeSet<_>>()
    };
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let body = server.created().await;
    let id = body["id"].as_str().unwrap();
    assert_eq!(schema("Verification"), fields(&body));
    assert_eq!(schema("Delivery"), fields(&body["delivery"]));
    assert_eq!(schema("Message"), fields(&body["messages"][0]));
    let mut event = schema("TimelineEvent");
    assert!(event.remove("stale"), "only a stale report has it");
    assert_eq!(event, fields(&server.timeline(id).await[0]));
    assert_eq!(schema("CheckedCode"), fields(&server.check(id, "000000").await));

    let text = document.to_string();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("\"$ref\":\"#") {
        let (pointer, after) = after.split_once('"').unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
        rest = after;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_type_leads_to_its_explanation() {
    let server = server().await;
    let document = document(&server).await;
    let codes =
        document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
    assert!(codes.len() > 20);
    for code in codes {
        let path = format!("/problems/{}", code.as_str().unwrap());
        let response = server.plain(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.text().await.unwrap().starts_with(code.as_str().unwrap()));
    }
}
