//! A PROXY header never makes the parser panic, is the same however much stands behind it, asks for more at every cut, and says the same
//! once written anew.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_proxyproto::{MAX_HEADER_BYTES, Proxied, parse, write_v2};

fn written_anew(proxied: &Proxied<'_>) {
    let Some(endpoints) = proxied.source.zip(proxied.destination) else { return };
    let mut header = Vec::new();
    // The vectors of unknown types are left out, so it is never longer than what was read.
    write_v2(&mut header, Some(endpoints), &proxied.extras).expect("what was read fits");
    let (again, used) = parse(&header, usize::MAX).expect("valid").expect("complete");
    assert_eq!((used, &again.extras), (header.len(), &proxied.extras));
    // Mapped addresses are written as what they are.
    assert_eq!(
        again.source.map(|at| at.ip().to_canonical()),
        proxied.source.map(|at| at.ip().to_canonical())
    );
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some((proxied, used))) = parse(bytes, MAX_HEADER_BYTES) else { return };
    let header = bytes.get(..used).expect("within the input");
    assert_eq!(parse(header, MAX_HEADER_BYTES), Ok(Some((proxied.clone(), used))));
    for end in 0..used {
        assert_eq!(parse(&header[..end], MAX_HEADER_BYTES), Ok(None));
    }
    assert!(proxied.tlvs().map(|(_, value)| value.len() + 3).sum::<usize>() < used);
    written_anew(&proxied);
});
