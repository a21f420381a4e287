//! Sticky sessions: which server a client's cookie remembers, and the cookie that it gets when that is not the one that answers.

use trunkline_filter::{Remembered, Sticky};
use trunkline_http::RequestHead;

use crate::clock;
use crate::forward::Journey;

/// What the cookies of a request say; the first that is ours and sound counts.
pub(crate) fn remembered(sticky: &Sticky, head: &RequestHead<'_, '_>) -> Option<Remembered> {
    let now_unix_s = now_unix_s();
    let mut lines = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("cookie"));
    lines.find_map(|header| sticky.server_of(header.value, now_unix_s))
}

/// A cookie for the client of a response.
#[derive(Clone, Copy)]
pub(crate) struct Reminder<'r> {
    sticky: &'r Sticky,
    server: usize,
    /// The client came by TLS.
    secure: bool,
}

impl Reminder<'_> {
    /// Appends its line.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Set-Cookie: ");
        self.sticky.cookie_for(self.server, now_unix_s(), self.secure, out);
        out.extend_from_slice(b"\r\n");
    }
}

impl Journey<'_> {
    /// The cookie for a response of this server, if the client has none that remembers it.
    pub(crate) fn reminder(&self, server: usize) -> Option<Reminder<'_>> {
        let sticky = self.pool.pool.sticky.as_ref()?;
        let known = self.exchange.remembered.is_some_and(|known| known.server == server && !known.renew);
        (!known).then_some(Reminder { sticky, server, secure: self.client.peer.secure })
    }
}

fn now_unix_s() -> u64 {
    clock::unix_ns() / 1_000_000_000
}
