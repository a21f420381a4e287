//! Whatever a zone file says: no panic, and every name of a zone that was taken is found again.
#![no_main]

use std::io;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use trunkline_dns::{name, zonefile};

const HEAD: &[u8] = b"$TTL 60\n@ SOA ns a 1 2 3 4 5\n@ NS ns\n";

fuzz_target!(|bytes: &[u8]| {
    // A million records a line are no fault, and slow.
    if bytes.windows(5).any(|word| word.eq_ignore_ascii_case(b"$GENE")) {
        return;
    }
    let apex = name::parse("z.").expect("a name");
    let mut read = |path: &Path| match path == Path::new("z") {
        true => Ok([HEAD, bytes].concat()),
        false => Err(io::ErrorKind::NotFound.into()),
    };
    let Ok(zone) = zonefile::load(Path::new("z"), &apex, &mut read) else { return };
    for node in zone.nodes() {
        let found = zone.node(zone.name(node)).expect("it is there");
        assert!(std::ptr::eq(found, node));
        assert!(zone.find(zone.name(node)).is_some());
    }
});
