//! Whatever is asked: no panic, and a response is one that another parser reads, within what the client takes.
#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use domain::base::Message;
use libfuzzer_sys::fuzz_target;
use trunkline_dns::{Carrier, Identity, Zones, answer, name, zonefile};

const ZONE: &str = "$TTL 60\n@ SOA ns a 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n*.w TXT w\nc CNAME x.w\nd DNAME w\nl CNAME l\n\
    k NS ns.k\nns.k A 192.0.2.2\n@ NSEC *.w NS SOA NSEC\n*.w NSEC @ TXT NSEC\n";

static ZONES: LazyLock<Zones> = LazyLock::new(|| {
    let apex = name::parse("z.").expect("a name");
    let zone = zonefile::load(Path::new("z"), &apex, &mut |_| Ok(ZONE.into())).expect("a zone");
    Zones::new([Arc::new(zone)])
});

fuzz_target!(|bytes: &[u8]| {
    let identity = Identity { name: b"here".to_vec(), version: b"1".to_vec() };
    for (carrier, limit) in [(Carrier::Datagram, 1_232), (Carrier::Stream, 65_535)] {
        let mut out = vec![0; limit];
        let Some(outcome) = answer(&ZONES, &identity, carrier, bytes, &mut out) else { continue };
        let response = out.get(..outcome.length).expect("within the buffer");
        assert_eq!(response[..2], bytes[..2]);
        assert!(response[2] & 0x80 != 0);
        let message = Message::from_octets(response).expect("a header");
        for record in message.iter() {
            record.expect("a record");
        }
    }
});
