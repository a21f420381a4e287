//! # trunkline-grpc: what a proxy has to know of gRPC
//!
//! gRPC passes a proxy as HTTP/2 with trailers. This crate holds the rest: what a `content-type` says ([`ContentType`]), how long a call
//! may take ([`timeout`]), what a client is told that gets no answer of a server ([`status`]), gRPC-Web for browsers ([`RequestBridge`],
//! [`ResponseBridge`]), and the messages of a health check ([`health`]).
//!
//! Promises: nothing is buffered but a prefix or a base64 group of a few bytes; nothing a peer sends can panic. Does not know connections,
//! reads no message but a health check's, and leaves CORS to its filter.
//!
//! Sources: `PROTOCOL-HTTP2.md`, `PROTOCOL-WEB.md`, `health-checking.md` and `statuscodes.md` of gRPC.
#![forbid(unsafe_code)]

mod base64_stream;
mod content_type;
mod error;
mod frames;
pub mod health;
pub mod status;
pub mod timeout;
pub mod web;

pub use content_type::{ContentType, Form, Kind};
pub use error::Error;
pub use web::{RequestBridge, ResponseBridge};
