//! One TLS connection as bytes in, bytes out, over rustls' unbuffered interface: an idle session holds keys and state, no buffer.
//!
//! Promises: nothing a peer sends panics; memory for what is incomplete is the caller's and bounded by [`MOST_UNCONSUMED_BYTES`]; after
//! an error the session takes nothing more. Does not: own a socket, wait, or read a clock of its own (rustls asks the system's for the
//! validity of certificates and tickets). No early data (0-RTT): it can be replayed.

use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, CommonState, HandshakeKind, ProtocolVersion, ServerConfig};

use crate::error::Error;
use crate::greeting::{self, Greeting};
use crate::question;

/// RFC 8446 §5.1: plaintext in one record.
pub const RECORD_PLAIN_BYTES: usize = 1 << 14;
/// The longest record on the wire that rustls reads: a header, 16 KB, and 2 KB for what encryption adds (RFC 5246 §6.2.3).
pub const RECORD_WIRE_BYTES: usize = 5 + RECORD_PLAIN_BYTES + 2048;
/// What may stay unconsumed: a handshake message of the most that rustls reads (64 KB), the rest of its last record, and what its
/// records' headers and tags add if they are not tiny.
pub const MOST_UNCONSUMED_BYTES: usize = (64 << 10) + RECORD_WIRE_BYTES;
/// Header, content type and tag of a TLS 1.3 record; one of TLS 1.2 has an explicit nonce of 8 bytes instead of the type.
const RECORD_OVERHEAD_BYTES: usize = 5 + 8 + 16;
/// RFC 8446 §5.1: type, version, length.
const RECORD_HEADER_BYTES: usize = 5;

/// What [`Session::process`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes at the front of `incoming` that are done with. What follows must be given again, as it stands now (records are decrypted
    /// in place), with more bytes behind it.
    pub consumed: usize,
    /// The handshake is not complete: data cannot be sent yet.
    pub handshaking: bool,
    /// The peer said that it sends no more (`close_notify`); the other direction may go on.
    pub closed_by_peer: bool,
}

/// One side of a TLS connection.
pub struct Session {
    connection: Connection,
    /// The front of what stays unconsumed, already read by rustls: parts of a handshake message that comes in several records.
    held_bytes: usize,
    phase: Phase,
    closed_by_peer: bool,
    server_name: Option<Box<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not a byte came in.
    Fresh,
    Running,
    /// We said that we send no more; the peer may.
    Closed,
    Failed,
}

enum Connection {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

/// What to do once there is nothing left to read or to flush.
enum Job<'a> {
    Receive,
    Encrypt(&'a [u8]),
    Close,
}

/// Where one turn of rustls' loop ended.
enum Step {
    Again,
    PeerClosed,
    /// Nothing more to do without bytes from outside; a job other than `Receive` is done.
    Idle,
    /// The handshake is not complete or the session over: the job was not done.
    NotOpen,
}

impl Session {
    /// The server's side; nothing happens before the client's first bytes.
    pub fn server(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = UnbufferedServerConnection::new(config).map_err(Error::HandshakeFailed)?;
        Ok(Self::new(Connection::Server(Box::new(connection))))
    }

    /// The client's side. [`Session::process`] with no bytes makes its first message.
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Error> {
        let connection = UnbufferedClientConnection::new(config, name).map_err(Error::HandshakeFailed)?;
        Ok(Self::new(Connection::Client(Box::new(connection))))
    }

    fn new(connection: Connection) -> Self {
        Self { connection, held_bytes: 0, phase: Phase::Fresh, closed_by_peer: false, server_name: None }
    }

    /// Reads all complete records of `incoming`. What has to be sent is appended to `out` (after an error, too); data goes to `plain` in
    /// pieces of at most 16 KB.
    pub fn process(
        &mut self,
        incoming: &mut [u8],
        out: &mut Vec<u8>,
        plain: &mut impl FnMut(&[u8]),
    ) -> Result<Progress, Error> {
        if self.phase == Phase::Failed {
            return Err(Error::NotOpen);
        }
        let result = self.greet(incoming, out).and_then(|()| self.receive(incoming, out, plain));
        if result.is_err() {
            self.phase = Phase::Failed;
        }
        result
    }

    fn receive(
        &mut self,
        incoming: &mut [u8],
        out: &mut Vec<u8>,
        plain: &mut impl FnMut(&[u8]),
    ) -> Result<Progress, Error> {
        let new_bytes = complete_records(incoming.get(self.held_bytes..).unwrap_or_default());
        let mut consumed = 0;
        loop {
            let rest = incoming.get_mut(consumed..).unwrap_or_default();
            let (discard, step) = self.step(rest, &Job::Receive, out, plain);
            consumed += discard;
            match step {
                Ok(Step::Again) => {}
                Ok(Step::PeerClosed) => self.closed_by_peer = true,
                Ok(Step::Idle | Step::NotOpen) => break,
                Err(error) => return Err(self.fail(error, out)),
            }
        }
        self.note_server_name();
        if self.closed_by_peer {
            // RFC 8446 §6.1: data after a closure alert is ignored.
            self.held_bytes = 0;
            return Ok(self.progress(incoming.len()));
        }
        self.held_bytes = (self.held_bytes + new_bytes).saturating_sub(consumed);
        if incoming.len() - consumed > MOST_UNCONSUMED_BYTES {
            return Err(Error::MessageTooLong);
        }
        Ok(self.progress(consumed))
    }

    /// Appends records with this data to `out`; nothing for no data.
    pub fn encrypt(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.write(&Job::Encrypt(plain), out)
    }

    /// The same for data in pieces. What fits is put into one record: a short body costs no second one beside its head.
    pub fn encrypt_slices(&mut self, slices: &[IoSlice<'_>], out: &mut Vec<u8>) -> Result<(), Error> {
        if let [only] = slices {
            return self.encrypt(only, out);
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total <= RECORD_PLAIN_BYTES {
            let joined = slices.iter().map(|slice| &slice[..]).collect::<Vec<_>>().concat();
            return self.encrypt(&joined, out);
        }
        slices.iter().try_for_each(|slice| self.encrypt(slice, out))
    }

    /// Appends `close_notify` to `out`: we send no more. Nothing before the handshake is complete, or a second time.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if self.write(&Job::Close, out).is_ok() {
            self.phase = Phase::Closed;
        }
    }

    fn write(&mut self, job: &Job<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        if matches!(self.phase, Phase::Closed | Phase::Failed) {
            return Err(Error::NotOpen);
        }
        // rustls slices its input at the bytes that it has read before; without them it would panic, and it reads none of them again.
        let mut held = vec![0; self.held_bytes];
        loop {
            match self.step(&mut held, job, out, &mut |_| {}).1 {
                Ok(Step::Again | Step::PeerClosed) => {}
                Ok(Step::Idle) => return Ok(()),
                Ok(Step::NotOpen) => return Err(Error::NotOpen),
                Err(error) => {
                    self.phase = Phase::Failed;
                    return Err(self.fail(error, out));
                }
            }
        }
    }

    /// A first record that is none gets an answer in the peer's own language, or an alert.
    fn greet(&mut self, incoming: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        if self.phase != Phase::Fresh || incoming.is_empty() || !self.is_server() {
            return Ok(());
        }
        self.phase = Phase::Running;
        match greeting::first_bytes(incoming) {
            Greeting::Tls => Ok(()),
            Greeting::PlainHttp => Err(Error::PlainHttp),
            Greeting::Unknown => {
                out.extend_from_slice(&greeting::plain_port_alert());
                Err(Error::NotTls)
            }
        }
    }

    fn step(
        &mut self,
        incoming: &mut [u8],
        job: &Job<'_>,
        out: &mut Vec<u8>,
        plain: &mut impl FnMut(&[u8]),
    ) -> (usize, Result<Step, rustls::Error>) {
        match &mut self.connection {
            Connection::Server(connection) => turn(connection.process_tls_records(incoming), job, out, plain),
            Connection::Client(connection) => turn(connection.process_tls_records(incoming), job, out, plain),
        }
    }

    /// Appends the alerts that rustls has queued, and says what the error means.
    fn fail(&mut self, error: rustls::Error, out: &mut Vec<u8>) -> Error {
        self.note_server_name();
        let alert_start = out.len();
        // While something waits to be sent, rustls does not look at its input.
        while self.state().wants_write() {
            if self.step(&mut [], &Job::Receive, out, &mut |_| {}).1.is_err() {
                break;
            }
        }
        if question::take_refusal() {
            // rustls says access_denied; RFC 6066 §3 has a word for it. No key is in use yet.
            out.truncate(alert_start);
            out.extend_from_slice(&greeting::fatal_alert(greeting::UNRECOGNIZED_NAME));
            return Error::NoCertificateForName;
        }
        Error::sorted(error, self.is_server(), self.is_open())
    }

    /// The unbuffered interface does not give the name away; the resolver leaves it behind.
    fn note_server_name(&mut self) {
        if let Some(name) = question::take_name() {
            self.server_name = Some(name);
        }
    }

    fn progress(&self, consumed: usize) -> Progress {
        Progress { consumed, handshaking: !self.is_open(), closed_by_peer: self.closed_by_peer }
    }

    fn state(&self) -> &CommonState {
        match &self.connection {
            Connection::Server(connection) => connection,
            Connection::Client(connection) => connection,
        }
    }

    fn is_server(&self) -> bool {
        matches!(self.connection, Connection::Server(_))
    }

    /// The handshake is complete.
    pub fn is_open(&self) -> bool {
        !self.state().is_handshaking()
    }

    /// The application protocol that was agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.state().alpn_protocol()
    }

    /// The name that the client asked for, in lower case; `None` on the client's side.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// What the peer proved to be, its own certificate first; `None` if it was not asked or sent none.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.state().peer_certificates()
    }

    /// `TLSv1.2` or `TLSv1.3`, as OpenSSL and nginx write them.
    pub fn protocol_version(&self) -> Option<&'static str> {
        match self.state().protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            _ => None,
        }
    }

    /// IANA's name of the cipher suite.
    pub fn cipher_suite(&self) -> Option<&'static str> {
        let suite = self.state().negotiated_cipher_suite()?;
        Some(crate::ciphers::iana_name(suite.suite()))
    }

    /// The handshake took up an earlier session by its ticket.
    pub fn is_resumed(&self) -> bool {
        self.state().handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Session")
            .field("server_name", &self.server_name)
            .field("version", &self.protocol_version())
            .field("open", &self.is_open())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// Does what one state of rustls asks for. The bytes to discard, and where that leads.
fn turn<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    job: &Job<'_>,
    out: &mut Vec<u8>,
    plain: &mut impl FnMut(&[u8]),
) -> (usize, Result<Step, rustls::Error>) {
    let mut discard = status.discard;
    let step = status.state.and_then(|state| match state {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                let record = record?;
                discard += record.discard;
                plain(record.payload);
            }
            Ok(Step::Again)
        }
        ConnectionState::EncodeTlsData(mut data) => {
            append(out, 0, |space| data.encode(space).map_err(Refused::from))?;
            Ok(Step::Again)
        }
        ConnectionState::TransmitTlsData(data) => {
            // It is in `out`, whose bytes the caller sends in their order.
            data.done();
            Ok(Step::Again)
        }
        ConnectionState::PeerClosed => Ok(Step::PeerClosed),
        ConnectionState::WriteTraffic(traffic) => perform(job, traffic, out),
        // Early data is never offered, so nothing of it is to be read.
        _ => Ok(Step::NotOpen),
    });
    (discard, step)
}

fn perform<Data>(
    job: &Job<'_>,
    mut traffic: WriteTraffic<'_, Data>,
    out: &mut Vec<u8>,
) -> Result<Step, rustls::Error> {
    match job {
        Job::Receive => {}
        Job::Encrypt(data) => {
            let records = data.len().div_ceil(RECORD_PLAIN_BYTES);
            let expected = data.len() + records * RECORD_OVERHEAD_BYTES;
            append(out, expected, |space| traffic.encrypt(data, space).map_err(Refused::from))?;
        }
        Job::Close => {
            append(out, RECORD_OVERHEAD_BYTES, |space| {
                traffic.queue_close_notify(space).map_err(Refused::from)
            })?;
        }
    }
    Ok(Step::Idle)
}

/// Why rustls wrote nothing.
enum Refused {
    TooSmall(usize),
    Exhausted,
}

impl From<EncodeError> for Refused {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self::TooSmall(required_size)
            }
            EncodeError::AlreadyEncoded => Self::Exhausted,
        }
    }
}

impl From<EncryptError> for Refused {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self::TooSmall(required_size)
            }
            EncryptError::EncryptExhausted => Self::Exhausted,
        }
    }
}

/// Makes room at the end of `out` and lets `write` fill it; once more if that was too little.
fn append(
    out: &mut Vec<u8>,
    expected: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Refused>,
) -> Result<(), rustls::Error> {
    let start = out.len();
    let mut room = expected;
    for _ in 0..2 {
        out.resize(start + room, 0);
        match write(&mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                return Ok(());
            }
            Err(Refused::TooSmall(required)) => room = required,
            Err(Refused::Exhausted) => break,
        }
    }
    out.truncate(start);
    Err(rustls::Error::EncryptError)
}

/// Bytes of the complete records at the front.
fn complete_records(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let [_, _, _, high, low, ..] = rest {
        let record = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([*high, *low]));
        let Some(next) = rest.get(record..) else { break };
        rest = next;
    }
    bytes.len() - rest.len()
}
