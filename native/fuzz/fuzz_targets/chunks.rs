//! A chunked body gives the same data and the same verdict however it is cut into reads: the first byte says how.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_http::Reason;
use trunkline_http::chunk::{ChunkDecoder, Piece, forwardable_trailers};

fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Reason> {
    let (mut decoder, mut body, mut used) = (ChunkDecoder::default(), Vec::new(), 0);
    while used < input.len() && !decoder.is_done() {
        let end = (used + step).min(input.len());
        let (count, piece) = decoder.decode(&input[used..end])?;
        assert!(count > 0 && used + count <= end);
        used += count;
        if let Piece::Data(data) = piece {
            body.extend_from_slice(data);
        }
    }
    forwardable_trailers(decoder.trailers(), |name, _| assert!(!name.is_empty()));
    Ok((body, used, decoder.is_done()))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((step, input)) = bytes.split_first() else { return };
    let whole = decode(input, input.len().max(1));
    let pieces = decode(input, usize::from(*step).max(1));
    assert_eq!(whole, pieces);
});
