//! # trunkline-tls: TLS for both edges, as bytes in and bytes out
//!
//! A [`ServerTls`] (a listener's) or [`ClientTls`] (a pool's) is compiled from the plan: files read and checked, certificates chosen by
//! name, clients authenticated, tickets with keys that rotate. Each connection is a [`Session`] from one of them: records in, plaintext
//! and answers out. It owns no socket and no buffer, and an idle one is small (`tests/memory.rs`).
//!
//! ```text
//! socket ─▶ incoming ─▶ Session::process ─▶ plain      plaintext, in pieces of at most 16 KB
//!                              └──────────▶ out ─▶ socket   handshake, tickets, key updates, alerts
//! plain ─▶ Session::encrypt ─▶ out ─▶ socket
//! ```
//!
//! Reading order: [`plan`] (what people ask for), `server` and `client` (what it becomes), `session`, then `resolver`, `tickets` and
//! `client_auth`. TLS itself, certificate chains and cryptography are rustls', webpki's and AWS-LC's.
//!
//! Promises: nothing a peer sends panics; keys never show in `Debug` output or in an error; no early data (0-RTT).
#![forbid(unsafe_code)]

mod certificate;
mod challenges;
mod ciphers;
mod client;
mod client_auth;
mod error;
mod files;
mod fingerprint;
mod forwarded;
mod greeting;
mod ocsp;
pub mod plan;
mod problem;
mod question;
mod resolver;
mod server;
mod session;
mod tickets;
mod x509;

pub use certificate::CertificateInfo;
pub use challenges::{ACME_PROTOCOL, Challenges, PemPair};
pub use client::ClientTls;
pub use error::{Error, REASONS};
pub use forwarded::forwarded_client_certificate;
pub use greeting::{Greeting, PLAIN_ALERT_BYTES, first_bytes, plain_port_alert};
pub use problem::Problem;
pub use server::ServerTls;
pub use session::{MOST_UNCONSUMED_BYTES, Progress, RECORD_PLAIN_BYTES, RECORD_WIRE_BYTES, Session};
