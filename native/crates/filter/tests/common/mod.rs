//! What every test of the chain needs: a plan from JSON, a request from text, and what became of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(dead_code, unreachable_pub)] // each test file is a crate of its own and uses its part

use std::net::IpAddr;
use std::sync::Arc;

use trunkline_filter::{
    Chain, Edits, Environment, Error, Exchange, Registry, Request, Verdict, WallClock, plan,
};
use trunkline_http::{HeaderBuffer, Limits, parse_request};

pub const SECOND_NS: u64 = 1_000_000_000;

/// Seconds since 1970 at the monotonic instant 0.
pub const START_S: u64 = 1_700_000_000;

pub const CONSUMERS: &str =
    r#"[{"name":"shop","keys":["key-of-shop"]},{"name":"app","keys":["key-of-app","old-key"]}]"#;

pub fn registry() -> Registry {
    Registry::new(Arc::new(WallClock::new(START_S * SECOND_NS, 0)), [0x1234, 0x5678])
}

pub fn compile_in(registry: &Registry, filters: &str) -> Result<Chain, Vec<Error>> {
    let consumers: Vec<plan::Consumer> = serde_json::from_str(CONSUMERS).unwrap();
    let plan: Vec<plan::Filter> = serde_json::from_str(filters).unwrap();
    let mut environment = Environment::new(registry, &consumers).unwrap();
    let chain = Chain::compile("orders", &plan, &mut environment)?;
    environment.commit();
    Ok(chain)
}

/// A chain in a registry of its own.
pub fn chain(filters: &str) -> Chain {
    compile_in(&registry(), filters).unwrap()
}

/// What is wrong with a plan, as people read it.
pub fn errors(filters: &str) -> Vec<String> {
    compile_in(&registry(), filters).expect_err("a wrong plan").iter().map(ToString::to_string).collect()
}

/// Runs `run` with the request that `text` is the head of; `\n` stands for CRLF, and `Host` is added.
pub fn with_request<T>(text: &str, client: &str, run: impl FnOnce(&Request<'_>) -> T) -> T {
    let (line, fields) = text.split_once('\n').unwrap_or((text, ""));
    let fields: Vec<&str> = fields.lines().map(str::trim_start).chain([""]).collect();
    let head = format!("{line} HTTP/1.1\r\nHost: api.example.com\r\n{}\r\n", fields.join("\r\n"));
    let mut headers = HeaderBuffer::default();
    let limits = Limits { head_bytes: 65_536, headers: 100, target_bytes: 8_192 };
    let head = parse_request(head.as_bytes(), &limits, &mut headers).unwrap().expect("a whole head");
    let client: IpAddr = client.parse().unwrap();
    let params = [("id", "4%202"), ("rest", "a/b%2Fc")];
    run(&Request {
        head: &head,
        path: head.path,
        host: "api.example.com",
        params: &params,
        client,
        secure: true,
    })
}

/// What a chain did to one request.
#[derive(Debug)]
pub struct Outcome {
    /// `None` when the upstream is asked.
    pub answer: Option<(u16, &'static str)>,
    pub content_type: Option<String>,
    pub body: String,
    pub exchange: Exchange,
}

impl Outcome {
    pub fn reason(&self) -> &'static str {
        self.answer.map_or("continue", |(_, reason)| reason)
    }

    /// The response's line of that name; several are joined by `|`.
    pub fn response(&self, name: &str) -> String {
        values(self.exchange.response_edits(), name)
    }

    pub fn upstream(&self, name: &str) -> String {
        values(self.exchange.upstream_edits(), name)
    }
}

pub fn values(edits: &Edits, name: &str) -> String {
    let lines = edits.appended().filter(|(known, _)| *known == name);
    lines.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect::<Vec<_>>().join("|")
}

/// The request phase only.
pub fn send_at(chain: &Chain, text: &str, client: &str, now_ns: u64) -> Outcome {
    with_request(text, client, |request| {
        let mut exchange = Exchange::default();
        let mut outcome =
            Outcome { answer: None, content_type: None, body: String::new(), exchange: Exchange::default() };
        if let Verdict::Respond(refusal) = chain.request(request, &mut exchange, now_ns) {
            let mut body = Vec::new();
            refusal.write_body(&mut body);
            outcome.answer = Some((refusal.status, refusal.reason.as_str()));
            outcome.content_type = refusal.content_type().map(str::to_owned);
            outcome.body = String::from_utf8(body).unwrap();
        }
        outcome.exchange = exchange;
        outcome
    })
}

pub fn send(chain: &Chain, text: &str) -> Outcome {
    send_at(chain, text, "192.0.2.1", 0)
}
