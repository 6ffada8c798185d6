//! Embedded style sheets and scripts. Their URL contains a hash of all of them, so that browsers can cache them forever
//! without mixing versions.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpResponse, get, web};
use sha2::{Digest, Sha256};

use super::Refusal;
use crate::hex;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const ASSETS: [Asset; 9] = [
    Asset { name: "strip.css", content_type: CSS, content: include_str!("assets/strip.css") },
    Asset { name: "detail.css", content_type: CSS, content: include_str!("assets/detail.css") },
    Asset { name: "detail.js", content_type: SCRIPT, content: include_str!("assets/detail.js") },
    Asset { name: "strip.js", content_type: SCRIPT, content: include_str!("assets/strip.js") },
    Asset { name: "console.css", content_type: CSS, content: include_str!("assets/console.css") },
    Asset { name: "console.js", content_type: SCRIPT, content: include_str!("assets/console.js") },
    Asset { name: "keys.js", content_type: SCRIPT, content: include_str!("assets/keys.js") },
    Asset { name: "list.js", content_type: SCRIPT, content: include_str!("assets/list.js") },
    Asset { name: "favicon.svg", content_type: SVG, content: include_str!("assets/favicon.svg") },
];

static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in &ASSETS {
        hash.update(asset.name);
        hash.update(asset.content);
    }
    hex::encode(&hash.finalize()[..6])
});

/// The URL of an asset.
pub fn url(name: &str) -> String {
    format!("/console/assets/{}/{name}", *HASH)
}

#[get("/assets/{hash}/{name}")]
pub async fn file(place: web::Path<(String, String)>) -> Result<HttpResponse, Refusal> {
    let (hash, name) = place.into_inner();
    let asset = ASSETS.iter().find(|asset| asset.name == name && hash == *HASH).ok_or(Refusal::NotFound)?;
    Ok(HttpResponse::Ok()
        .content_type(asset.content_type)
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(asset.content))
}
