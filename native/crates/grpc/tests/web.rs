//! The bridge: whole exchanges as tables, the same in any pieces, refusals with their reason.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use trunkline_grpc::{ContentType, Error, Form, RequestBridge, ResponseBridge, web};

fn request(form: Form, pieces: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let (mut bridge, mut out) = (RequestBridge::new(form), Vec::new());
    pieces.iter().try_for_each(|piece| bridge.push(piece, &mut out))?;
    bridge.finish().map(|()| out)
}

fn response(form: Form, pieces: &[&[u8]], trailers: &[u8]) -> Result<Vec<u8>, Error> {
    let (mut bridge, mut out) = (ResponseBridge::new(form), Vec::new());
    pieces.iter().try_for_each(|piece| bridge.push(piece, &mut out))?;
    bridge.finish(trailers, &mut out).map(|()| out)
}

fn message(content: &[u8]) -> Vec<u8> {
    [&[0], (content.len() as u32).to_be_bytes().as_slice(), content].concat()
}

/// As a client does it: padding ends a group, whatever follows.
fn decode_joined(text: &[u8]) -> Vec<u8> {
    text.chunks(4).flat_map(|group| STANDARD.decode(group).unwrap()).collect()
}

#[test]
fn requests() {
    for (form, body, passed) in [
        (Form::Binary, &b""[..], &b""[..]),
        (Form::Binary, b"\0\0\0\0\x03abc", b"\0\0\0\0\x03abc"),
        (Form::Binary, b"\0\0\0\0\0\x01\0\0\0\x01x", b"\0\0\0\0\0\x01\0\0\0\x01x"),
        (Form::Text, b"", b""),
        (Form::Text, b"AAAAAANhYmM=", b"\0\0\0\0\x03abc"),
        // Two messages, encoded apart and joined.
        (Form::Text, b"AAAAAANhYmM=AAAAAAA=", b"\0\0\0\0\x03abc\0\0\0\0\0"),
        // Every byte encoded apart.
        (Form::Text, b"AA==AA==AA==AA==AQ==eA==", b"\0\0\0\0\x01x"),
    ] {
        assert_eq!(request(form, &[body]).unwrap(), passed);
        let pieces: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(request(form, &pieces).unwrap(), passed);
    }
}

#[test]
fn refused_requests() {
    for (form, body, error) in [
        (Form::Binary, &b"\0\0\0\0\x03ab"[..], Error::Truncated),
        (Form::Binary, b"\0\0\0", Error::Truncated),
        (Form::Binary, b"\x80\0\0\0\0", Error::Flags),
        (Form::Binary, b"\x02\0\0\0\0", Error::Flags),
        (Form::Binary, b"\0\0\0\0\0\x80", Error::Flags),
        (Form::Text, b"gAAAAAA=", Error::Flags),
        (Form::Text, b"AAAAAANhYm==", Error::Base64),
        (Form::Text, b"AAAAAANhYmM", Error::Base64),
        (Form::Text, b"AAAA\r\nAANhYmM=", Error::Base64),
        (Form::Text, b"AAAAAANh-_M=", Error::Base64),
        (Form::Text, b"====", Error::Base64),
        (Form::Text, b"AA=A", Error::Base64),
        (Form::Text, b"AAAAAANhYg==", Error::Truncated),
    ] {
        assert_eq!(request(form, &[body]).unwrap_err(), error, "{}", body.escape_ascii());
        let pieces: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(request(form, &pieces).unwrap_err(), error, "{}", body.escape_ascii());
    }
}

#[test]
fn responses() {
    let trailers = b"grpc-status: 0\r\nGrpc-Message: Fine: Yes\r\n\r\n";
    let last = b"\x80\0\0\0\x29grpc-status: 0\r\ngrpc-message: Fine: Yes\r\n";
    let binary = [b"\0\0\0\0\x03abc", &last[..]].concat();
    assert_eq!(response(Form::Binary, &[b"\0\0\0\0\x03abc"], trailers).unwrap(), binary);
    let text = response(Form::Text, &[b"\0\0\0\0\x03abc"], trailers).unwrap();
    assert!(text.starts_with(b"AAAAAANhYmM=gAAAAC"), "{}", text.escape_ascii());
    assert_eq!(decode_joined(&text), binary);
    for none in [&b""[..], b"\r\n"] {
        assert_eq!(response(Form::Binary, &[], none).unwrap(), b"\x80\0\0\0\0");
    }
    let without_end = trailers.strip_suffix(b"\r\n").unwrap();
    assert_eq!(response(Form::Binary, &[], without_end).unwrap(), last);
}

#[test]
fn a_message_of_a_stream_is_not_held_back() {
    let (mut bridge, mut out) = (ResponseBridge::new(Form::Text), Vec::new());
    for content in [&b"a"[..], b"ab", b"abc"] {
        out.clear();
        bridge.push(&message(content), &mut out).unwrap();
        assert_eq!(decode_joined(&out), message(content));
    }
}

#[test]
fn refused_responses() {
    let long = [&b"a: "[..], &vec![b'x'; web::MAX_TRAILER_BYTES], b"\r\n"].concat();
    for (body, trailers, error) in [
        (&b"\0\0\0\0\x01"[..], &b"grpc-status: 0\r\n"[..], Error::Truncated),
        (b"\x80\0\0\0\0", b"", Error::Flags),
        (b"", &long, Error::TrailersTooLong),
    ] {
        assert_eq!(response(Form::Binary, &[body], trailers).unwrap_err(), error);
        assert_eq!(response(Form::Text, &[body], trailers).unwrap_err(), error);
    }
}

#[test]
fn lines() {
    let content_type = ContentType::parse(b"application/grpc-web-text+proto").unwrap();
    let mut out = Vec::new();
    web::write_request_lines(&mut out, &content_type);
    assert_eq!(out, b"content-type: application/grpc+proto\r\nte: trailers\r\n");
    out.clear();
    web::write_response_lines(&mut out, &ContentType::parse(b"application/grpc").unwrap(), Form::Text);
    assert_eq!(out, b"content-type: application/grpc-web-text\r\n");
    assert!(web::drops_request_line("X-Grpc-Web") && web::drops_request_line("content-type"));
    assert!(!web::drops_request_line("x-user-agent") && !web::drops_request_line("grpc-timeout"));
    assert!(web::drops_response_line("Content-Length") && !web::drops_response_line("grpc-encoding"));
}

#[test]
fn reasons_are_distinct() {
    for error in Error::ALL {
        assert!(error.as_str().starts_with("grpc_"));
        assert_eq!(Error::ALL.iter().filter(|other| other.as_str() == error.as_str()).count(), 1);
    }
}

/// `body` in pieces that end at `cuts`.
fn pieces<'b>(body: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).chain([body.len()]).collect();
    ends.sort_unstable();
    let starts = [0].into_iter().chain(ends.clone());
    starts.zip(ends).map(|(start, end)| &body[start..end]).collect()
}

proptest! {
    #[test]
    fn messages_survive_any_cut(
        contents in prop::collection::vec(any::<Vec<u8>>(), 0..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
    ) {
        let body: Vec<u8> = contents.iter().flat_map(|content| message(content)).collect();
        prop_assert_eq!(&request(Form::Binary, &pieces(&body, &cuts)).unwrap(), &body);
        // What the response's side writes, without the trailers, the request's side reads.
        let (mut bridge, mut text) = (ResponseBridge::new(Form::Text), Vec::new());
        pieces(&body, &cuts).iter().try_for_each(|piece| bridge.push(piece, &mut text)).unwrap();
        prop_assert_eq!(decode_joined(&text), &body[..]);
        prop_assert_eq!(&request(Form::Text, &pieces(&text, &cuts)).unwrap(), &body);
    }

    #[test]
    fn what_is_passed_is_the_same_in_any_cut(
        body: Vec<u8>,
        text in "[A-D=]{0,24}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        for (form, body) in [(Form::Binary, body), (Form::Text, text.into_bytes())] {
            // Of two errors in a body, the cut decides which is found first.
            prop_assert_eq!(request(form, &pieces(&body, &cuts)).ok(), request(form, &[&body]).ok());
            let end = b"grpc-status: 0\r\n";
            prop_assert_eq!(response(form, &pieces(&body, &cuts), end), response(form, &[&body], end));
        }
    }
}
