//! What a node answers to those who operate it: health, metrics, settings, schemas, and the many small questions of
//! connectors and consoles.
//!
//! ```text
//!  request ─▶ frontend.rs, backend.rs ── loads, labels, SQL ─▶ load, label, sql_api
//!                        └── everything else ─▶ route ─▶ surface/frontend, surface/backend
//! ```
//!
//! Each node has one table of routes, which says for every path of a server who may ask, what the sandbox does, and
//! where that is known from; `docs/http.md` is that table on paper, and a test compares the two. What a path does is a
//! function over what the node knows: it runs where blocking is allowed, and changes nothing but settings.

pub(super) mod backend;
mod catalogue;
pub(super) mod config;
mod exposition;
pub(super) mod frontend;
pub(super) mod metrics;
mod process;
pub(super) mod rest;
mod route;
mod tablets;

/// The paths of a frontend and those of a backend, as tables on paper.
#[cfg(test)]
pub(super) fn paper() -> [String; 2] {
    [route::table(frontend::ROUTES), route::table(backend::ROUTES)]
}
