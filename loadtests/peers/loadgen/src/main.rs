//! Load for what wrk and h2load cannot do: new TLS connections, full or resumed, and WebSocket messages; and
//! a server of gRPC calls.
//!
//! One thread drives everything, so that it can share a core with a backend and leave another to the proxy.
//! The generators print one line of JSON with counts and times. Each command ends by itself, a few seconds
//! after its time at the latest.
//!
//!     loadgen handshakes --port P --connections N --seconds S --kind full|resumed --path /64
//!     loadgen websocket --port P --backend-port B --connections N --seconds S --window W --message-bytes M
//!     loadgen grpc --port P --seconds S
//!
//! It is no client for anything else: certificates are not verified, and the WebSocket server knows one key.
#![forbid(unsafe_code)]

mod echo_calls;
mod frames;
mod grpc;
mod handshakes;
mod options;
mod tally;
mod websocket;

use std::error::Error;

use options::Options;
use tally::Tally;

const USAGE: &str = "loadgen handshakes|websocket|grpc --port P --seconds S ...";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().ok_or(USAGE)?;
    let options = Options::parse(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, run(&command, &options))
}

async fn run(command: &str, options: &Options) -> Result<(), Box<dyn Error>> {
    match command {
        "handshakes" => tell(handshakes::run(options).await?),
        "websocket" => tell(websocket::run(options).await?),
        "grpc" => grpc::run(options).await?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn tell(tally: Tally) {
    println!("{}", tally.into_json());
}
