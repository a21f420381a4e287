//! What is remembered of a request, for its answer and its log line.

use std::net::IpAddr;
use std::ops::Range;

use trunkline_grpc::Form;
use trunkline_http::{Header, RequestHead, Version};

use crate::block::Block;
use crate::grpc::Call;

/// Positions are in the client's block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) started_ns: u64,
    /// Behind trusted proxies; `None` until it is known.
    pub(crate) client: Option<IpAddr>,
    pub(crate) version: Version,
    pub(crate) call: Option<Call>,
    pub(crate) keep_alive: bool,
    pub(crate) method: Range<usize>,
    pub(crate) target: Range<usize>,
    pub(crate) authority: Range<usize>,
    pub(crate) user_agent: Range<usize>,
    pub(crate) body_bytes: u64,
    /// Copies of the above, once the block is needed for something else.
    detached: Option<Vec<u8>>,
}

impl Facts {
    /// How a browser writes its call, where it is translated.
    pub(crate) fn web_form(&self) -> Option<Form> {
        match self.call {
            Some(Call::Web { sent, .. }) => Some(sent),
            _ => None,
        }
    }

    /// Of a request that could not be read.
    pub(crate) fn unread(started_ns: u64) -> Self {
        Self { started_ns, ..Self::default() }
    }

    /// Of a head whose parts lie in `bytes`, which begin at `position` of the client's block.
    pub(crate) fn of(
        head: &RequestHead<'_, '_>,
        client: IpAddr,
        bytes: &[u8],
        position: usize,
        started_ns: u64,
    ) -> Self {
        let place = |part: &[u8]| {
            let start = (part.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
            if start <= bytes.len() { position + start..position + start + part.len() } else { 0..0 }
        };
        Self {
            started_ns,
            client: Some(client),
            version: head.version,
            call: Call::of(head),
            keep_alive: head.keep_alive,
            method: place(head.method.as_bytes()),
            target: place(head.target.as_bytes()),
            authority: place(head.authority.as_bytes()),
            user_agent: user_agent(head).map_or(0..0, place),
            ..Self::default()
        }
    }

    /// The bytes of one of the ranges.
    pub(crate) fn text<'t>(&'t self, range: &Range<usize>, block: Option<&'t Block>) -> &'t [u8] {
        match (&self.detached, block) {
            (Some(copies), _) => copies.get(range.clone()).unwrap_or_default(),
            (None, Some(block)) => block.at(range.clone()),
            (None, None) => &[],
        }
    }

    /// Of a head that is not in a block.
    pub(crate) fn copied(mut self, head: &RequestHead<'_, '_>) -> Self {
        let mut copies = Vec::new();
        let agent = user_agent(head).unwrap_or_default();
        for (range, part) in [
            (&mut self.method, head.method.as_bytes()),
            (&mut self.target, head.target.as_bytes()),
            (&mut self.authority, head.authority.as_bytes()),
            (&mut self.user_agent, agent),
        ] {
            *range = copies.len()..copies.len() + part.len();
            copies.extend_from_slice(part);
        }
        self.detached = Some(copies);
        self
    }

    /// Copies what a log line needs, so that the block can take the body.
    pub(crate) fn detach(&mut self, block: &Block) {
        if self.detached.is_some() {
            return;
        }
        let mut copies = Vec::new();
        for range in [&mut self.method, &mut self.target, &mut self.authority, &mut self.user_agent] {
            let start = copies.len();
            copies.extend_from_slice(block.at(range.clone()));
            *range = start..copies.len();
        }
        self.detached = Some(copies);
    }
}

fn user_agent<'b>(head: &RequestHead<'b, '_>) -> Option<&'b [u8]> {
    let is_it = |header: &&Header<'_>| {
        header.name.len() == "user-agent".len() && header.name.eq_ignore_ascii_case("user-agent")
    };
    head.headers.iter().find(is_it).map(|header| header.value)
}
