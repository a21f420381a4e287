//! WebSocket messages through a proxy: clients and the echoing server on one thread, the proxy between them.
//!
//! Each connection keeps `window` messages in flight: 1 is ping-pong, more is a stream in both directions.
//! Every byte that comes back is compared. A message counts when its echo arrives, so the proxy relayed two
//! for each.

use std::cell::RefCell;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::frames;
use crate::options::Options;
use crate::tally::Tally;

/// How long the last echoes may take when the time is over.
const GRACE: Duration = Duration::from_secs(5);
/// Dozens of messages; small enough that the buffers of many connections stay in the cache.
const BUFFER_BYTES: usize = 4 * 1024;
/// RFC 6455 §1.3: its example of a key and the answer to it. The server knows no other: all its clients are
/// here.
const UPGRADE: &[u8] =
    b"GET /websocket HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct Plan {
    port: u16,
    end: Instant,
    /// The window's frames at once, and how many they are.
    frames: Vec<u8>,
    window: usize,
    /// What comes back, repeated until any read fits at any place.
    echoes: Vec<u8>,
    echo_bytes: usize,
}

/// Fails on wrong options or a port that is taken; what goes wrong with connections is in the tally.
pub async fn run(options: &Options) -> Result<Tally, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", options.get("backend-port")?)).await?;
    let server = tokio::task::spawn_local(serve(listener));

    let plan = Rc::new(Plan::new(options)?);
    let tally = Rc::new(RefCell::new(Tally::default()));
    let started = Instant::now();
    let connections: usize = options.get("connections")?;
    let tasks: Vec<_> =
        (0..connections).map(|_| tokio::task::spawn_local(client(plan.clone(), tally.clone()))).collect();
    for task in tasks {
        task.await?;
    }
    server.abort();
    tally.borrow_mut().duration = started.elapsed();
    Ok(tally.take())
}

impl Plan {
    fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let window: usize = options.get("window")?;
        let payload = vec![b'm'; options.get("message-bytes")?];
        let echo = frames::unmasked(&payload);
        Ok(Self {
            port: options.get("port")?,
            end: Instant::now() + Duration::from_secs_f64(options.get("seconds")?),
            frames: frames::masked(&payload).repeat(window),
            window,
            echo_bytes: echo.len(),
            echoes: echo.repeat(BUFFER_BYTES / echo.len() + 2),
        })
    }
}

async fn client(plan: Rc<Plan>, tally: Rc<RefCell<Tally>>) {
    let end = (plan.end + GRACE).into();
    if !matches!(tokio::time::timeout_at(end, talk(&plan, &tally)).await, Ok(Ok(()))) {
        tally.borrow_mut().failed += 1;
    }
}

async fn talk(plan: &Plan, tally: &RefCell<Tally>) -> io::Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", plan.port)).await?;
    socket.set_nodelay(true)?;
    socket.write_all(UPGRADE).await?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let head = read_head(&mut socket, &mut buffer).await?;
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other("no upgrade"));
    }
    exchange(plan, tally, &mut socket, &mut buffer).await
}

/// Send a message for each echo until the time is over.
async fn exchange(
    plan: &Plan,
    tally: &RefCell<Tally>,
    socket: &mut TcpStream,
    buffer: &mut [u8],
) -> io::Result<()> {
    let frame_bytes = plan.frames.len() / plan.window;
    let mut sent = Instant::now();
    socket.write_all(&plan.frames).await?;
    let mut place = 0;
    while sent < plan.end {
        let length = socket.read(buffer).await?;
        if length == 0 || buffer[..length] != plan.echoes[place..place + length] {
            return Err(io::Error::other("closed, or not what was sent"));
        }
        let echoed = (place + length) / plan.echo_bytes;
        place = (place + length) % plan.echo_bytes;
        count(plan, &mut tally.borrow_mut(), echoed, length, sent);
        sent = Instant::now();
        socket.write_all(&plan.frames[..echoed * frame_bytes]).await?;
    }
    Ok(())
}

/// Only ping-pong is timed: in a stream an echo belongs to no one write.
fn count(plan: &Plan, tally: &mut Tally, echoed: usize, length: usize, sent: Instant) {
    tally.done += echoed as u64;
    tally.response_bytes += length as u64;
    if plan.window == 1 && echoed == 1 {
        tally.time(sent.elapsed());
    }
}

async fn serve(listener: TcpListener) {
    while let Ok((socket, _)) = listener.accept().await {
        // A connection that ends is the proxy's or the client's business; the client counts it.
        tokio::task::spawn_local(async move { answer(socket).await.ok() });
    }
}

async fn answer(mut socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    read_head(&mut socket, &mut buffer).await?;
    socket.write_all(UPGRADED).await?;
    let (mut input, mut output) = (Vec::new(), Vec::new());
    loop {
        match socket.read(&mut buffer).await? {
            0 => return Ok(()),
            length => input.extend_from_slice(&buffer[..length]),
        }
        frames::echo(&mut input, &mut output);
        socket.write_all(&output).await?;
        output.clear();
    }
}

/// Read to the empty line. Nothing follows it: neither side speaks before it was answered.
async fn read_head<'a>(socket: &mut TcpStream, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut length = 0;
    while !buffer[..length].ends_with(b"\r\n\r\n") {
        match socket.read(&mut buffer[length..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => length += more,
        }
    }
    Ok(&buffer[..length])
}
