//! A gRPC-Web body passes the bridge the same however it is cut into reads, what a response becomes can be read as a request, and a health
//! check's answer never makes the reader panic. The first byte says how it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_grpc::{ContentType, Error, Form, RequestBridge, ResponseBridge, health, timeout};

const TRAILERS: &[u8] = b"grpc-status: 0\r\n";

fn request(form: Form, body: &[u8], step: usize) -> Result<Vec<u8>, Error> {
    let (mut bridge, mut out) = (RequestBridge::new(form), Vec::new());
    body.chunks(step).try_for_each(|piece| bridge.push(piece, &mut out))?;
    bridge.finish().map(|()| out)
}

/// The messages, and all of the body.
fn response(form: Form, body: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (mut bridge, mut out) = (ResponseBridge::new(form), Vec::new());
    body.chunks(step).try_for_each(|piece| bridge.push(piece, &mut out))?;
    let messages = out.clone();
    bridge.finish(TRAILERS, &mut out).map(|()| (messages, out))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((step, body)) = bytes.split_first() else { return };
    let (step, whole) = (usize::from(*step).max(1), body.len().max(1));
    for form in [Form::Binary, Form::Text] {
        // Of two errors in a body, the cut decides which is found first.
        assert_eq!(request(form, body, step).ok(), request(form, body, whole).ok());
        assert_eq!(response(form, body, step), response(form, body, whole));
        if let Ok((messages, all)) = response(form, body, step) {
            assert_eq!(request(form, &messages, step).as_deref(), Ok(body));
            assert_eq!(request(form, &all, step), Err(Error::Flags));
        }
    }
    let _ = health::parse_response(body);
    let _ = ContentType::parse(body);
    if let Some(timeout_ns) = timeout::parse(body) {
        let mut written = Vec::new();
        timeout::write(&mut written, timeout_ns);
        assert!(timeout::parse(&written).is_some_and(|again_ns| again_ns >= timeout_ns));
    }
});
