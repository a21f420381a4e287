//! Whatever an upstream sends: no panic, and a head never claims more bytes than there are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_http::{Answers, HeaderBuffer, Limits, parse_response};

const LIMITS: Limits = Limits { head_bytes: 4_096, headers: 32, target_bytes: 0 };

fuzz_target!(|bytes: &[u8]| {
    for answers in [Answers::Other, Answers::Head, Answers::Connect] {
        let mut storage = HeaderBuffer::new();
        if let Ok(Some(head)) = parse_response(bytes, answers, &LIMITS, &mut storage) {
            assert!(head.length <= bytes.len());
            assert!((100..600).contains(&head.status));
        }
    }
});
