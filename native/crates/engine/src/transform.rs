//! What becomes of a body on its way besides its framing: compression, or gRPC-Web's form of it.

use std::cell::RefCell;

use trunkline_compress::{Coding, Encoder, Encoders, Levels};
use trunkline_grpc::{RequestBridge, ResponseBridge};

use crate::failure::{Failure, Side};

thread_local! {
    static ENCODERS: RefCell<Encoders> = RefCell::default();
}

pub(crate) enum Transform {
    Compress(Compressor),
    /// gRPC from a server, gRPC-Web to its client.
    Web(ResponseBridge),
    /// The other way.
    FromWeb(RequestBridge),
}

/// An encoder on loan from the worker.
pub(crate) struct Compressor(Option<Encoder>);

impl Transform {
    /// `None` = there is no memory for it, or too many are at work; the body then goes out as it is.
    pub(crate) fn compress(coding: Coding, levels: &Levels) -> Option<Self> {
        let encoder = ENCODERS.with_borrow_mut(|encoders| encoders.take(coding, levels)).ok()?;
        Some(Self::Compress(Compressor(Some(encoder))))
    }

    pub(crate) fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Compress(Compressor(Some(encoder))) => {
                encoder.push(input, out).map_err(|_| Failure::ENCODER_FAILED)
            }
            Self::Compress(_) => Err(Failure::ENCODER_FAILED),
            Self::Web(bridge) => bridge.push(input, out).map_err(of_server),
            Self::FromWeb(bridge) => bridge.push(input, out).map_err(of_client),
        }
    }

    /// Nothing more comes for now: what was taken goes out.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Compress(Compressor(Some(encoder))) => {
                encoder.flush(out).map_err(|_| Failure::ENCODER_FAILED)
            }
            _ => Ok(()),
        }
    }

    /// The body has ended; true if its trailers are part of it now.
    pub(crate) fn finish(&mut self, trailers: &[u8], out: &mut Vec<u8>) -> Result<bool, Failure> {
        match self {
            Self::Compress(Compressor(Some(encoder))) => {
                encoder.finish(out).map(|()| false).map_err(|_| Failure::ENCODER_FAILED)
            }
            Self::Compress(_) => Err(Failure::ENCODER_FAILED),
            Self::Web(bridge) => bridge.finish(trailers, out).map(|()| true).map_err(of_server),
            Self::FromWeb(bridge) => bridge.finish().map(|()| false).map_err(of_client),
        }
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        if let Some(encoder) = self.0.take() {
            let _ = ENCODERS.try_with(|encoders| encoders.borrow_mut().give_back(encoder));
        }
    }
}

/// The response has begun, so that there is no status left to give.
fn of_server(error: trunkline_grpc::Error) -> Failure {
    Failure { status: 0, reason: error.as_str(), side: Side::Upstream }
}

fn of_client(error: trunkline_grpc::Error) -> Failure {
    Failure { status: 400, reason: error.as_str(), side: Side::Client }
}
