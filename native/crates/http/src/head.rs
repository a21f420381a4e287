//! The parsed head of a message: slices into the read buffer, nothing owned.

/// HTTP version; this codec speaks major version 1 only, `Http2` is what trunkline-http2 fills in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    Http10,
    #[default]
    Http11,
    Http2,
}

/// How the body's end is found (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body follows.
    None,
    /// Exactly so many bytes follow; never 0.
    Length(u64),
    /// Chunks follow (RFC 9112 §7.1).
    Chunked,
    /// Responses only: the body ends with the connection.
    UntilClose,
}

/// What a header means to a proxy. Everything else is `Other` and forwarded untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    Other,
    /// Hop-by-hop: `Connection`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Upgrade`, `Proxy-Authenticate`…,
    /// and whatever `Connection` names (RFC 9110 §7.6.1). Never forwarded.
    HopByHop,
    Host,
    /// `Content-Length` and `Transfer-Encoding`: re-made by the serialiser from `Framing`.
    Framing,
    Expect,
    /// `X-Forwarded-For`, `-Proto`, `-Host`, `Forwarded`: taken over or replaced by the trust rules.
    Forwarding,
    /// Other words about who the client is or what it asked for (`X-Real-IP`, `X-Forwarded-Port`, `X-Original-URL` …): we write none of
    /// them, and believe them of trusted proxies only.
    Claim,
    Via,
    RequestId,
}

/// Room for the headers of one message; more than 32 spill to the heap, once per buffer.
pub type HeaderBuffer<'b> = smallvec::SmallVec<[Header<'b>; 32]>;

/// What a head may take. The connection's owner fills it from its configuration.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the whole head, request line included.
    pub head_bytes: usize,
    /// Header lines, at most [`MAX_HEADERS`].
    pub headers: usize,
    pub target_bytes: usize,
}

/// The parser's table lives on the stack: 128 slots of 32 bytes.
pub const MAX_HEADERS: usize = 128;

/// One header line; `name` as received (names compare case-insensitively).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'b> {
    pub name: &'b str,
    /// Without surrounding white space; may hold obs-text (0x80-0xFF), never a control byte but HTAB.
    pub value: &'b [u8],
    pub field: Field,
}

/// A request head that passed every check in this crate.
#[derive(Debug)]
pub struct RequestHead<'b, 'h> {
    pub method: &'b str,
    /// As received, for logs.
    pub target: &'b str,
    /// The target's path, not yet normalised; `*` for OPTIONS, empty for CONNECT.
    pub path: &'b str,
    /// Without the `?`.
    pub query: Option<&'b str>,
    pub version: Version,
    /// Of an absolute target or of `:scheme`, case as received.
    pub scheme: Option<&'b str>,
    /// `host[:port]` of the target or of Host, case as received; empty only for HTTP/1.0 without Host.
    pub authority: &'b str,
    pub headers: &'h [Header<'b>],
    pub framing: Framing,
    /// As declared, 0 included.
    pub content_length: Option<u64>,
    /// The client wants to keep the connection (RFC 9112 §9.3).
    pub keep_alive: bool,
    pub expects_continue: bool,
    /// `Connection: upgrade` and the value of `Upgrade`.
    pub upgrade: Option<&'b [u8]>,
    /// Bytes of the buffer that the head took, leading CRLF included.
    pub length: usize,
}

/// A response head that passed every check in this crate.
#[derive(Debug)]
pub struct ResponseHead<'b, 'h> {
    pub status: u16,
    pub reason: &'b [u8],
    pub version: Version,
    pub headers: &'h [Header<'b>],
    /// What follows on the wire: nothing for HEAD, 1xx, 204, 304, whatever the head declares.
    pub framing: Framing,
    /// As declared; kept for HEAD and 304, where no body follows.
    pub content_length: Option<u64>,
    /// The upstream will keep the connection.
    pub keep_alive: bool,
    /// Value of `Upgrade`: in a 101 what is switched to, else what the server would like.
    pub upgrade: Option<&'b [u8]>,
    pub length: usize,
}

/// Finds the first header of that name, ignoring case.
pub fn find<'b>(headers: &[Header<'b>], name: &str) -> Option<&'b [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}
