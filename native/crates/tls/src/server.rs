//! A listener's TLS: compiled from the plan, swapped whole by a reload. Open connections keep what they were made with.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

use crate::certificate::{self, CertificateInfo, Loaded};
use crate::challenges::{ACME_PROTOCOL, Challenges};
use crate::client_auth::ClientPolicy;
use crate::error::Error;
use crate::forwarded::forwarded_client_certificate;
use crate::plan::{self, ForwardedPart};
use crate::problem::{Problem, Problems};
use crate::resolver::Resolver;
use crate::session::Session;
use crate::tickets::{LONGEST_LIFETIME_S, TicketKeys, Ticketer};
use crate::{ciphers, files};

/// What new connections of a listener are made with; shared by its workers.
#[derive(Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    certificates: Vec<CertificateInfo>,
    warnings: Vec<Problem>,
    forward: Vec<ForwardedPart>,
    ticket_plan: plan::Tickets,
    tickets: Option<Arc<TicketKeys>>,
}

impl ServerTls {
    /// Reads all files of the plan and checks them. `previous` is what the same listener has now: tickets that it issued stay good.
    /// `now_unix` is in seconds. All problems are found at once; their paths are those of the plan.
    pub fn compile(
        plan: &plan::Server,
        challenges: &Arc<Challenges>,
        previous: Option<&Self>,
        now_unix: u64,
    ) -> Result<Self, Vec<Problem>> {
        Self::compile_with_clock(plan, challenges, previous, now_unix, Arc::new(DefaultTimeProvider))
    }

    /// The same with a clock for tickets and for the certificates of clients.
    pub fn compile_with_clock(
        plan: &plan::Server,
        challenges: &Arc<Challenges>,
        previous: Option<&Self>,
        now_unix: u64,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        if plan.certificates.is_empty() && !plan.acme {
            problems.add("certificates", "must hold one or more");
        }
        if plan.alpn.is_empty() {
            problems.add("alpn", "must hold one or more");
        }
        let provider = problems.take("ciphers", ciphers::provider(&plan.ciphers, plan.min_version));
        // Go on for the other problems.
        let provider = Arc::new(provider.unwrap_or_else(rustls::crypto::aws_lc_rs::default_provider));
        let certificates = load_all(plan, &provider, now_unix, &mut problems);
        let policy = match &plan.client_auth {
            Some(auth) => ClientPolicy::compile(auth, &provider, now_unix, &mut problems),
            None => Some(ClientPolicy::open()),
        };
        let tickets = tickets(&plan.tickets, previous, Arc::clone(&clock), &mut problems);
        let compiled = policy.and_then(|policy| {
            let challenges = plan.acme.then(|| Arc::clone(challenges));
            let resolver = Resolver::new(&certificates, plan.strict_sni, challenges);
            let ticketer = tickets.clone().map(|keys| Ticketer { keys, context: policy.fingerprint });
            let config =
                problems.take("ciphers", config(plan, provider, policy, resolver, ticketer, clock))?;
            Some(Self {
                config: Arc::new(config),
                certificates: certificates.into_iter().map(|loaded| loaded.info).collect(),
                warnings: problems.take_warnings(),
                forward: plan.client_auth.as_ref().map(|auth| auth.forward.clone()).unwrap_or_default(),
                ticket_plan: plan.tickets.clone(),
                tickets,
            })
        });
        problems.finish(compiled)
    }

    /// For a connection that was just accepted.
    pub fn session(&self) -> Result<Session, Error> {
        Session::server(Arc::clone(&self.config))
    }

    /// In the order of the plan.
    pub fn certificates(&self) -> &[CertificateInfo] {
        &self.certificates
    }

    /// What was left out of the plan, and why.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The value of `X-Forwarded-Client-Cert` for a session whose handshake is complete; `None` if the client showed nothing or nothing is to
    /// be told. Some microseconds: once per connection.
    pub fn forwarded_client_certificate(&self, session: &Session) -> Option<String> {
        let leaf = session.peer_certificates()?.first()?;
        let value = forwarded_client_certificate(leaf, &self.forward);
        (!value.is_empty()).then_some(value)
    }
}

fn load_all(
    plan: &plan::Server,
    provider: &CryptoProvider,
    now_unix: u64,
    problems: &mut Problems,
) -> Vec<Loaded> {
    let entries = plan.certificates.iter().enumerate();
    entries
        .filter_map(|(number, entry)| {
            certificate::load(entry, &format!("certificates[{number}]"), provider, now_unix, problems)
        })
        .collect()
}

/// `None` if none are issued, or after noting why they cannot be.
fn tickets(
    plan: &plan::Tickets,
    previous: Option<&ServerTls>,
    clock: Arc<dyn TimeProvider>,
    problems: &mut Problems,
) -> Option<Arc<TicketKeys>> {
    if plan.lifetime_s > LONGEST_LIFETIME_S {
        return problems.fail("tickets.lifetime_s", "more than 7 days are not allowed (RFC 8446 §4.6.1)");
    }
    if plan.lifetime_s == 0 {
        return None;
    }
    if let Some(file) = &plan.keys_file {
        let keys = files::read(file).and_then(|text| TicketKeys::parse(&text, plan.lifetime_s, clock));
        return problems.take_file("tickets.keys_file", file, keys).map(Arc::new);
    }
    let kept = previous.filter(|previous| previous.ticket_plan == *plan);
    if let Some(keys) = kept.and_then(|previous| previous.tickets.clone()) {
        return Some(keys);
    }
    let drawn = TicketKeys::random(plan.lifetime_s, clock).ok_or("the system gives no random numbers");
    problems.take("tickets", drawn).map(Arc::new)
}

fn config(
    plan: &plan::Server,
    provider: Arc<CryptoProvider>,
    policy: ClientPolicy,
    resolver: Resolver,
    ticketer: Option<Ticketer>,
    clock: Arc<dyn TimeProvider>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_details(provider, clock)
        .with_protocol_versions(ciphers::versions(plan.min_version))?
        .with_client_cert_verifier(policy.verifier)
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = plan.alpn.iter().map(|protocol| protocol.id().to_vec()).collect();
    if plan.acme {
        // Last: only a client that offers nothing else gets it.
        config.alpn_protocols.push(ACME_PROTOCOL.to_vec());
    }
    // A list of one's own is an order of one's own; else a client knows best what its CPU is good at.
    config.ignore_client_order = !plan.ciphers.is_empty();
    // Sessions are in their tickets alone, so that any worker or machine can take them up.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    match ticketer {
        Some(ticketer) => config.ticketer = Arc::new(ticketer),
        None => config.send_tls13_tickets = 0,
    }
    Ok(config)
}
