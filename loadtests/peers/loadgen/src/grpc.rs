//! The server of gRPC calls on a port of its own: the backend of calls that h2load makes.

use std::error::Error;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::echo_calls::EchoCalls;
use crate::options::Options;

/// Hundreds of calls; small enough that the buffers of many connections stay in the cache.
const BUFFER_BYTES: usize = 16 * 1024;

/// Serve for so many seconds, or until a signal ends the program. Fails on wrong options or a port that is
/// taken.
pub async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", options.get("port")?)).await?;
    let seconds = Duration::from_secs_f64(options.get("seconds")?);
    // The end of the time is the expected end.
    tokio::time::timeout(seconds, serve(listener)).await.ok();
    Ok(())
}

async fn serve(listener: TcpListener) {
    while let Ok((socket, _)) = listener.accept().await {
        // How a connection ends is the proxy's business.
        tokio::task::spawn_local(async move { answer(socket).await.ok() });
    }
}

async fn answer(mut socket: TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut output = Vec::new();
    let mut calls = EchoCalls::new(&mut output);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        socket.write_all(&output).await?;
        output.clear();
        match socket.read(&mut buffer).await? {
            0 => return Ok(()),
            length => calls.receive(&buffer[..length], &mut output),
        }
    }
}
