//! Answers as a client reads them: the sections of the response, one record a line.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use domain::base::Message;
use domain::base::iana::Rtype;
use domain::base::name::ParsedName;
use domain::rdata::AllRecordData;
use trunkline_dns::{Carrier, Identity, Zones, answer, name, zonefile};

const ZONE: &str = r#"
$TTL 3600
@           SOA ns1 admin 7 1h 10m 1w 300
@           NS ns1
@           NS ns2.other.
@           MX 10 mail
ns1         A 192.0.2.1
ns1         AAAA 2001:db8::1
mail        A 192.0.2.2
www         CNAME web
web     60  A 192.0.2.3
web     60  A 192.0.2.4
loop        CNAME loop2
loop2       CNAME loop
out         CNAME www.elsewhere.
gone        CNAME missing
deep.ent    TXT "here"
*.wild      A 192.0.2.9
*.wild      MX 5 mail.wild
x.sub.wild  TXT "not wild"
*.alias     CNAME web
child       NS ns.child
child       NS ns1
ns.child    A 192.0.2.20
child       DS 1 8 2 0101010101010101010101010101010101010101010101010101010101010101
old         DNAME new
a.new       A 192.0.2.30
"#;

fn zones() -> Zones {
    let apex = name::parse("example.").unwrap();
    let zone = zonefile::load(Path::new("example.zone"), &apex, &mut |_| Ok(ZONE.into())).unwrap();
    Zones::new([Arc::new(zone)])
}

fn question(text: &str, rtype: Rtype) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.extend(name::parse(text).unwrap());
    message.extend(rtype.to_int().to_be_bytes());
    message.extend([0, 1]);
    message
}

/// The response: flags, rcode, and what each section has.
fn ask(text: &str, rtype: Rtype) -> String {
    respond(&question(text, rtype), Carrier::Stream)
}

fn respond(request: &[u8], carrier: Carrier) -> String {
    let mut out = vec![0; 65_535];
    let outcome = answer(&zones(), &Identity::default(), carrier, request, &mut out).expect("silence");
    let message = Message::from_octets(&out[..outcome.length]).unwrap();
    let header = message.header();
    let mut text = format!(
        "{}{}{}\n",
        header.rcode(),
        if header.aa() { " aa" } else { "" },
        if header.tc() { " tc" } else { "" }
    );
    for (mark, section) in [
        ("", message.answer().unwrap()),
        ("auth ", message.authority().unwrap()),
        ("more ", message.additional().unwrap()),
    ] {
        for record in section.limit_to::<AllRecordData<_, ParsedName<_>>>() {
            let record = record.unwrap();
            writeln!(
                text,
                "{mark}{}. {} {} {}",
                record.owner(),
                record.ttl().as_secs(),
                record.rtype(),
                record.data()
            )
            .unwrap();
        }
    }
    text
}

fn check(text: &str, rtype: Rtype, expected: &str) {
    let expected: String = expected.lines().map(|line| line.trim().to_owned() + "\n").collect();
    assert_eq!(ask(text, rtype).trim(), expected.trim(), "{text} {rtype}");
}

const SOA: &str = "auth example. 300 SOA ns1.example. admin.example. 7 3600 600 604800 300";

#[test]
fn records_that_are_there() {
    check(
        "Example.",
        Rtype::NS,
        "NOERROR aa
        Example. 3600 NS ns1.Example.
        Example. 3600 NS ns2.other.
        more ns1.Example. 3600 A 192.0.2.1
        more ns1.Example. 3600 AAAA 2001:db8::1",
    );
    check("example.", Rtype::MX, "NOERROR aa\nexample. 3600 MX 10 mail.example.");
    check("web.example.", Rtype::A, "NOERROR aa\nweb.example. 60 A 192.0.2.3\nweb.example. 60 A 192.0.2.4");
}

#[test]
fn what_is_not_there() {
    check("web.example.", Rtype::AAAA, &format!("NOERROR aa\n{SOA}"));
    check("ent.example.", Rtype::A, &format!("NOERROR aa\n{SOA}"));
    check("missing.example.", Rtype::A, &format!("NXDOMAIN aa\n{SOA}"));
    check("example.org.", Rtype::A, "REFUSED");
}

#[test]
fn aliases_are_followed_as_far_as_we_know() {
    check(
        "www.example.",
        Rtype::A,
        "NOERROR aa\nwww.example. 3600 CNAME web.example.\nweb.example. 60 A 192.0.2.3\nweb.example. 60 A 192.0.2.4",
    );
    check("www.example.", Rtype::CNAME, "NOERROR aa\nwww.example. 3600 CNAME web.example.");
    check("out.example.", Rtype::A, "NOERROR aa\nout.example. 3600 CNAME www.elsewhere.");
    check(
        "gone.example.",
        Rtype::A,
        &format!("NXDOMAIN aa\ngone.example. 3600 CNAME missing.example.\n{SOA}"),
    );
    assert_eq!(ask("loop.example.", Rtype::A).lines().count(), 17);
}

#[test]
fn wildcards() {
    check("a.b.wild.example.", Rtype::A, "NOERROR aa\na.b.wild.example. 3600 A 192.0.2.9");
    check("A.wild.example.", Rtype::MX, "NOERROR aa\nA.wild.example. 3600 MX 5 mail.wild.example.");
    check("a.wild.example.", Rtype::TXT, &format!("NOERROR aa\n{SOA}"));
    check("a.sub.wild.example.", Rtype::A, &format!("NXDOMAIN aa\n{SOA}"));
    check(
        "any.alias.example.",
        Rtype::A,
        "NOERROR aa\nany.alias.example. 3600 CNAME web.example.\nweb.example. 60 A 192.0.2.3\nweb.example. 60 A 192.0.2.4",
    );
}

#[test]
fn what_belongs_to_others() {
    let referral = "NOERROR
        auth child.example. 3600 NS ns.child.example.
        auth child.example. 3600 NS ns1.example.
        more ns.child.example. 3600 A 192.0.2.20
        more ns1.example. 3600 A 192.0.2.1
        more ns1.example. 3600 AAAA 2001:db8::1";
    for name in ["child.example.", "a.b.child.example.", "ns.child.example."] {
        check(name, Rtype::A, referral);
    }
    assert!(ask("child.example.", Rtype::DS).starts_with("NOERROR aa\nchild.example. 3600 DS"));
}

#[test]
fn redirections() {
    check(
        "a.old.example.",
        Rtype::A,
        "NOERROR aa
        old.example. 3600 DNAME new.example.
        a.old.example. 3600 CNAME a.new.example.
        a.new.example. 3600 A 192.0.2.30",
    );
    let label = "x".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}.old.example.", "y".repeat(48));
    assert!(ask(&longest, Rtype::A).starts_with("NXDOMAIN aa"));
}

#[test]
fn transfers_are_not_answered_with_less() {
    for rtype in [Rtype::AXFR, Rtype::IXFR] {
        check("example.", rtype, "NOTIMP");
    }
}

#[test]
fn one_of_all() {
    assert_eq!(ask("example.", Rtype::ANY).lines().count(), 3);
}

#[test]
fn requests_that_are_none() {
    let mut out = [0; 512];
    let mut outcome =
        |request: &[u8]| answer(&zones(), &Identity::default(), Carrier::Datagram, request, &mut out);
    let good = question("example.", Rtype::A);
    for length in 0..12 {
        assert_eq!(outcome(&good[..length]), None);
    }
    for length in 12..good.len() {
        assert_eq!(outcome(&good[..length]).map(|outcome| outcome.rcode as u16), Some(1), "{length}");
    }
    let with = |at: usize, byte: u8| {
        let mut changed = good.clone();
        changed[at] = byte;
        changed
    };
    assert_eq!(outcome(&with(2, 0x80)), None);
    assert_eq!(outcome(&with(2, 0x28)).map(|outcome| outcome.rcode as u16), Some(4));
    assert_eq!(outcome(&with(5, 2)).map(|outcome| outcome.rcode as u16), Some(1));
    assert_eq!(outcome(&with(12, 0xC0)).map(|outcome| outcome.rcode as u16), Some(1));
}
