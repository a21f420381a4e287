//! Encoders against the decoders that others have written, in pieces of every size.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Read;

use flate2::{Decompress, FlushDecompress};
use proptest::prelude::*;
use trunkline_compress::{Coding, Encoder, Encoders, Error, Levels};

const EVERY_LEVEL_END: [Levels; 3] = [
    Levels { gzip: 1, br: 1, zstd: 1 },
    Levels { gzip: 5, br: 3, zstd: 3 },
    Levels { gzip: 9, br: 6, zstd: 8 },
];

/// What a client can read of a stream that may not have ended.
fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 << 20);
    match coding {
        Coding::Gzip => {
            Decompress::new_gzip(15).decompress_vec(bytes, &mut out, FlushDecompress::Sync).unwrap();
        }
        Coding::Brotli => {
            let mut decoder = brotli::Decompressor::new(bytes, 4_096);
            let mut piece = [0; 512];
            // An end that is missing is an error, after everything before it was read.
            while let Ok(count @ 1..) = decoder.read(&mut piece) {
                out.extend_from_slice(&piece[..count]);
            }
        }
        Coding::Zstd => {
            let mut input = zstd_safe::InBuffer::around(bytes);
            let mut output = zstd_safe::OutBuffer::around(&mut out);
            let mut decoder = zstd_safe::DCtx::create();
            while input.pos() < bytes.len() {
                decoder.decompress_stream(&mut output, &mut input).unwrap();
            }
        }
    }
    out
}

/// Whether the stream has its end: what a decoder says, not how many bytes came out.
fn has_ended(coding: Coding, bytes: &[u8]) -> bool {
    match coding {
        Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut Vec::new()).is_ok(),
        Coding::Brotli => brotli::Decompressor::new(bytes, 4_096).read_to_end(&mut Vec::new()).is_ok(),
        Coding::Zstd => {
            let mut out = Vec::with_capacity(4 << 20);
            zstd_safe::DCtx::create().decompress(&mut out, bytes).is_ok()
        }
    }
}

fn text(bytes: usize) -> Vec<u8> {
    let line =
        |number: usize| format!("{number:x}: the quick brown fox jumps over the lazy dog\n").into_bytes();
    (0..).flat_map(line).take(bytes).collect()
}

#[test]
fn a_body_in_pieces_comes_out_whole_at_every_level() {
    let body = text(300_000);
    for coding in Coding::ALL {
        for levels in &EVERY_LEVEL_END {
            for piece in [1_000, 65_536, 1 << 20] {
                let mut encoder = Encoder::new(coding, levels).unwrap();
                let mut out = Vec::new();
                body.chunks(piece).for_each(|part| encoder.push(part, &mut out).unwrap());
                assert!(!has_ended(coding, &out));
                encoder.finish(&mut out).unwrap();
                assert!(decoded(coding, &out) == body, "{coding:?} {levels:?} {piece}");
                assert!(has_ended(coding, &out) && out.len() < body.len() / 5, "{coding:?} {}", out.len());
            }
        }
    }
}

#[test]
fn an_empty_body_is_a_stream_of_its_own() {
    for coding in Coding::ALL {
        let mut out = Vec::new();
        Encoder::new(coding, &Levels::default()).unwrap().finish(&mut out).unwrap();
        assert!(has_ended(coding, &out) && decoded(coding, &out).is_empty() && out.len() <= 20, "{coding:?}");
    }
}

#[test]
fn after_a_flush_a_client_can_read_all_that_was_pushed() {
    for coding in Coding::ALL {
        let mut encoder = Encoder::new(coding, &Levels::default()).unwrap();
        let (mut out, mut pushed) = (Vec::new(), Vec::new());
        for number in 0..200 {
            let message = format!("{{\"tick\":{number}}}\n");
            encoder.push(message.as_bytes(), &mut out).unwrap();
            pushed.extend_from_slice(message.as_bytes());
            encoder.flush(&mut out).unwrap();
            assert_eq!(decoded(coding, &out), pushed, "{coding:?} {number}");
        }
        let before = out.len();
        encoder.flush(&mut out).unwrap();
        encoder.flush(&mut out).unwrap();
        assert!(out.len() - before <= 16, "{coding:?}: an idle flush costs {}", out.len() - before);
        encoder.finish(&mut out).unwrap();
        assert!(has_ended(coding, &out) && decoded(coding, &out) == pushed, "{coding:?}");
    }
}

#[test]
fn a_used_encoder_begins_anew_even_if_its_body_was_cut_off() {
    for coding in Coding::ALL {
        let (mut encoders, levels) = (Encoders::default(), Levels::default());
        let mut cut = encoders.take(coding, &levels).unwrap();
        cut.push(&text(100_000), &mut Vec::new()).unwrap();
        encoders.give_back(cut);
        assert_eq!(encoders.len(), usize::from(coding != Coding::Brotli), "{coding:?}");
        let (mut out, mut fresh) = (Vec::new(), Vec::new());
        let mut used = encoders.take(coding, &levels).unwrap();
        assert!(encoders.is_empty());
        for (encoder, out) in
            [(&mut used, &mut out), (&mut Encoder::new(coding, &levels).unwrap(), &mut fresh)]
        {
            encoder.push(b"second body", out).unwrap();
            encoder.finish(out).unwrap();
        }
        assert_eq!(out, fresh, "{coding:?}");
    }
}

#[test]
fn encoders_are_kept_by_coding_and_level_and_not_without_end() {
    let (mut encoders, levels) = (Encoders::default(), Levels::default());
    let harder = Levels { gzip: 9, ..levels };
    encoders.give_back(Encoder::new(Coding::Gzip, &harder).unwrap());
    assert_eq!(encoders.take(Coding::Gzip, &levels).unwrap().coding(), Coding::Gzip);
    assert_eq!(encoders.len(), 1, "that of level 9 stays for those who want it");
    encoders.take(Coding::Gzip, &harder).unwrap();
    assert!(encoders.is_empty());
    (0..100).for_each(|_| encoders.give_back(Encoder::new(Coding::Gzip, &levels).unwrap()));
    assert_eq!(encoders.len(), 8);
}

#[test]
fn so_many_are_on_loan_at_most() {
    let (mut encoders, levels) = (Encoders::default(), Levels::default());
    let mut lent: Vec<Encoder> = (0..64).map(|_| encoders.take(Coding::Gzip, &levels).unwrap()).collect();
    assert!(encoders.take(Coding::Gzip, &levels).is_err());
    encoders.give_back(lent.remove(0));
    assert!(encoders.take(Coding::Gzip, &levels).is_ok());
    assert!(encoders.take(Coding::Gzip, &levels).is_err());
}

#[test]
fn what_comes_after_the_end_is_refused() {
    for coding in [Coding::Gzip, Coding::Brotli] {
        let mut encoder = Encoder::new(coding, &Levels::default()).unwrap();
        encoder.finish(&mut Vec::new()).unwrap();
        let refused = encoder.push(b"more", &mut Vec::new());
        assert!(
            matches!(refused, Err(Error::Encoder { coding: known, .. }) if known == coding),
            "{refused:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_in_any_pieces_with_any_flushes(
        pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..5_000), any::<bool>()), 0..12),
        coding in proptest::sample::select(&Coding::ALL[..]),
        level in 0_usize..3,
        room in 0_usize..3,
    ) {
        let mut encoder = Encoder::new(coding, &EVERY_LEVEL_END[level]).unwrap();
        let mut out = Vec::with_capacity(room * 100);
        let mut pushed = Vec::new();
        for (piece, flush) in &pieces {
            encoder.push(piece, &mut out).unwrap();
            pushed.extend_from_slice(piece);
            if *flush {
                encoder.flush(&mut out).unwrap();
                prop_assert_eq!(&decoded(coding, &out), &pushed);
            }
        }
        encoder.finish(&mut out).unwrap();
        prop_assert!(has_ended(coding, &out));
        prop_assert_eq!(decoded(coding, &out), pushed);
    }
}
