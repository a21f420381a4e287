//! Zone files: what is read, and where what is wrong is found.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use trunkline_dns::{Zone, name, rtype, zonefile};

const HEAD: &str = "$TTL 1h\n@ SOA ns a 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";

fn load(files: &[(&str, &str)]) -> Result<Zone, zonefile::Problem> {
    let files: HashMap<PathBuf, &str> =
        files.iter().map(|(path, text)| (PathBuf::from(path), *text)).collect();
    let apex = name::parse("z.test.").unwrap();
    let mut read = |path: &Path| {
        let text = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.as_bytes().to_vec())
    };
    zonefile::load(Path::new("zones/z"), &apex, &mut read)
}

fn with(rest: &str) -> Result<Zone, zonefile::Problem> {
    load(&[("zones/z", &format!("{HEAD}{rest}"))])
}

fn has(zone: &Zone, owner: &str, rtype: u16) -> bool {
    let node = zone.node(&name::parse(owner).unwrap());
    node.is_some_and(|node| zone.set(node, rtype).is_some())
}

#[test]
fn directives() {
    let zone = load(&[
        (
            "zones/z",
            &format!(
                "{HEAD}$INCLUDE sub/inner in\n$ORIGIN deep\nx A 192.0.2.2\n$GENERATE 1-3 g$ A 192.0.2.$\n"
            ),
        ),
        ("zones/sub/inner", "a A 192.0.2.3\n$INCLUDE more\n$ORIGIN elsewhere\nb A 192.0.2.4\n"),
        ("zones/sub/more", "m.z.test. 5 TXT (\"one\"\n \"two\")\n"),
    ])
    .unwrap();
    for owner in ["a.in.z.test.", "x.deep.z.test.", "g1.deep.z.test.", "g3.deep.z.test."] {
        assert!(has(&zone, owner, rtype::A), "{owner}");
    }
    assert!(has(&zone, "m.z.test.", rtype::TXT));
    assert_eq!(zone.record_count(), 10);
}

#[test]
fn a_line_that_begins_with_a_blank_has_the_owner_before() {
    let zone = with("x A 192.0.2.2\n  AAAA 2001:db8::1\n\t60 IN TXT t\n").unwrap();
    assert!(has(&zone, "x.z.test.", rtype::AAAA) && has(&zone, "x.z.test.", rtype::TXT));
}

#[test]
fn what_is_wrong_has_a_place() {
    for (rest, line, what) in [
        ("x A 300.0.2.1", 5, "IPv4"),
        ("\n\nx NOTYPE y", 7, "neither a TTL nor a class nor a type"),
        ("x A", 5, "less data"),
        ("x A 192.0.2.1 more", 5, "more data"),
        ("x CH TXT t", 5, "only IN"),
        ("x.other. A 192.0.2.1", 5, "not in the zone"),
        ("x TXT \"open", 5, "quote"),
        ("x TXT (\n a", 6, "parenthesis"),
        ("$INCLUDE", 5, "$INCLUDE file"),
        ("$INCLUDE none", 0, "cannot be read"),
        ("$GENERATE 3-1 x A 192.0.2.1", 5, "no range"),
        ("$ODD x", 5, "$ODD is none of"),
        ("a..b A 192.0.2.1", 5, "no domain name"),
        ("x TYPE65280 \\# 3 0102", 5, "2 bytes"),
        ("x AXFR", 5, ""),
    ] {
        let problem = with(rest).expect_err(rest);
        assert_eq!(problem.line, line, "{rest}: {problem}");
        assert!(problem.what.contains(what), "{rest}: {problem}");
    }
}

#[test]
fn what_no_zone_can_be() {
    for (rest, what) in [
        ("c CNAME a\nc A 192.0.2.1", "CNAME record beside others"),
        ("c CNAME a\nc CNAME b", "more than one"),
        ("@ SOA ns a 2 2 3 4 5", "more than one"),
        ("x SOA ns a 2 2 3 4 5", "not the zone's own name"),
        ("x DNAME a\nx NS b", "beside a delegation"),
    ] {
        let problem = with(rest).expect_err(rest);
        assert!(problem.what.contains(what) && problem.line == 0, "{rest}: {problem}");
    }
    assert!(load(&[("zones/z", "$TTL 1\n@ NS ns\n")]).expect_err("SOA").what.contains("no SOA"));
    let endless = load(&[("zones/z", "$INCLUDE z\n")]).expect_err("endless");
    assert!(endless.what.contains("deep"), "{endless}");
}

#[test]
fn equal_records_are_one() {
    let zone = with("x A 192.0.2.2\nX.z.test. A 192.0.2.2\n").unwrap();
    let node = zone.node(&name::parse("x.z.test.").unwrap()).unwrap();
    assert_eq!(zone.set(node, rtype::A).unwrap().count(), 1);
}
