//! What the plan says of the two edges, compiled: TLS of listeners and pools, PROXY headers, how servers are reached. Files are read
//! with each plan that is compiled, so that a reload is how a new certificate comes in. What has errors is noted and taken for absent:
//! such a plan is never served.

use std::net::IpAddr;
use std::sync::Arc;

use trunkline_filter::Networks;
use trunkline_tls::{ClientTls, Problem, ServerTls};

use crate::compile::{Compiler, PlanError};
use crate::plan;
use crate::snapshot::{Dial, Listener, Pool, ProxyPolicy};

impl Compiler<'_, '_> {
    pub(crate) fn listener_tls(
        &mut self,
        path: &str,
        planned: Option<&plan::ListenerTls>,
        before: Option<&Listener>,
    ) -> Option<Arc<ServerTls>> {
        let previous = before.and_then(|before| before.tls.as_deref());
        let compiled = ServerTls::compile(planned?, self.challenges, previous, self.now_unix);
        let compiled = self.take_tls(path, compiled)?;
        self.warnings.extend(compiled.warnings().iter().map(|warning| in_tls(path, warning)));
        Some(Arc::new(compiled))
    }

    /// What has the same identity is the same object, whose sessions can be resumed.
    pub(crate) fn pool_tls(
        &mut self,
        path: &str,
        planned: &plan::Pool,
        before: Option<&Pool>,
    ) -> Option<Arc<ClientTls>> {
        let tls = planned.tls.as_ref()?;
        let previous = before.and_then(|before| before.tls.as_ref());
        let protocol = application_protocol(planned.protocol);
        let compiled = ClientTls::compile(tls, protocol, previous.map(|tls| &**tls), self.now_unix);
        let compiled = self.take_tls(path, compiled)?;
        let same = previous.filter(|previous| previous.identity() == compiled.identity());
        Some(same.map_or_else(|| Arc::new(compiled), Arc::clone))
    }

    /// A check by gRPC speaks HTTP/2, which over TLS has to be agreed on.
    pub(crate) fn check_health(&mut self, path: &str, planned: &plan::Pool) {
        let is_grpc = planned.health.as_ref().is_some_and(|health| health.kind == plan::HealthKind::Grpc);
        if is_grpc && planned.tls.is_some() && planned.protocol != plan::Protocol::Http2 {
            self.error(format!("{path}.health.kind"), "`grpc` over TLS needs a pool of protocol `h2`");
        }
    }

    fn take_tls<T>(&mut self, path: &str, compiled: Result<T, Vec<Problem>>) -> Option<T> {
        match compiled {
            Ok(value) => Some(value),
            Err(problems) => {
                self.errors.extend(problems.iter().map(|problem| in_tls(path, problem)));
                None
            }
        }
    }

    pub(crate) fn proxy_policy(
        &mut self,
        path: &str,
        planned: Option<&plan::ProxyProtocol>,
    ) -> Option<ProxyPolicy> {
        let planned = planned?;
        match Networks::parse(&planned.trusted) {
            Ok(networks) => Some(ProxyPolicy { networks, timeout_ms: planned.timeout_ms }),
            Err(errors) => {
                for (number, problem) in errors {
                    self.error(format!("{path}.proxy_protocol.trusted[{number}]"), problem);
                }
                None
            }
        }
    }
}

fn in_tls(path: &str, problem: &Problem) -> PlanError {
    PlanError { path: format!("{path}.tls.{}", problem.path), message: problem.message.clone() }
}

fn application_protocol(protocol: plan::Protocol) -> trunkline_tls::plan::Protocol {
    match protocol {
        plan::Protocol::Http1 => trunkline_tls::plan::Protocol::Http11,
        plan::Protocol::Http2 => trunkline_tls::plan::Protocol::Http2,
    }
}

pub(crate) fn is_same_identity(tls: Option<&Arc<ClientTls>>, other: Option<&Arc<ClientTls>>) -> bool {
    tls.map(|tls| tls.identity()) == other.map(|tls| tls.identity())
}

impl Dial {
    pub(crate) fn new(pool: &plan::Pool, tls: Option<&Arc<ClientTls>>, server: &plan::Server) -> Self {
        Self {
            protocol: pool.protocol,
            tls: tls.cloned(),
            proxy: pool.proxy_protocol,
            host: server.host.clone().unwrap_or_else(|| server.address.ip().to_string()),
        }
    }

    /// A connection that was made by one can be used by the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.proxy == other.proxy
            && self.host == other.host
            && is_same_identity(self.tls.as_ref(), other.tls.as_ref())
    }
}

impl ProxyPolicy {
    /// Connections from this address begin with a header.
    pub(crate) fn expects(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.contains(address)
    }
}
