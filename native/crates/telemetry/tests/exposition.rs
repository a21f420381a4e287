//! The page as a strict scraper reads it: every line is parsed by the grammar of the format, nothing is skipped.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashSet};

use trunkline_telemetry::{Error, Exposition, Histogram, Kind, LE_NS, Snapshot};

type Sample = (String, Vec<(String, String)>, String);

#[derive(Default)]
struct Page {
    kinds: BTreeMap<String, String>,
    helps: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

/// Panics on anything that the format description does not allow.
fn parse(text: &str) -> Page {
    assert!(text.is_empty() || text.ends_with('\n'));
    let (mut page, mut open, mut seen) = (Page::default(), String::new(), HashSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(page.helps.insert(name.into(), help.replace(r"\n", "\n").replace(r"\\", "\\")).is_none());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(page.kinds.insert(name.into(), kind.into()).is_none(), "{name} twice");
            name.clone_into(&mut open);
        } else {
            let sample = parse_sample(line);
            let suffix = sample.0.strip_prefix(&open).unwrap();
            assert!(["", "_bucket", "_sum", "_count"].contains(&suffix), "{line} outside its family");
            assert!(seen.insert((sample.0.clone(), sample.1.clone())), "{line} twice");
            page.samples.push(sample);
        }
    }
    page
}

fn parse_sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = parse_labels(inner, &mut labels);
    }
    let value = rest.strip_prefix(' ').unwrap();
    assert!(value.parse::<f64>().is_ok(), "{line}");
    (name.to_owned(), labels, value.to_owned())
}

fn parse_labels<'t>(mut rest: &'t str, labels: &mut Vec<(String, String)>) -> &'t str {
    loop {
        let (name, quoted) = rest.split_once("=\"").unwrap();
        let (mut value, mut characters) = (String::new(), quoted.char_indices());
        let after = loop {
            match characters.next().unwrap() {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match characters.next().unwrap().1 {
                    'n' => '\n',
                    same @ ('\\' | '"') => same,
                    other => panic!("escape {other}"),
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &quoted[after..];
        match rest.split_at(1) {
            (",", more) => rest = more,
            ("}", more) => return more,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn labels_with_anything_in_them_come_back_as_they_were() {
    let nasty = "quote\" backslash\\ newline\n comma, brace} gr\u{fc}n \\n";
    let mut text = Exposition::default();
    let mut family = text.family("requests_total", "Requests \\ so far\nby route.", Kind::Counter).unwrap();
    family.sample(&[("route", nasty), ("code", "2xx")], u64::MAX).unwrap();
    family.sample(&[], 0_u64).unwrap();
    let page = parse(text.as_str());
    assert_eq!(page.kinds["requests_total"], "counter");
    assert_eq!(page.helps["requests_total"], "Requests \\ so far\nby route.");
    let labels = vec![("route".to_owned(), nasty.to_owned()), ("code".to_owned(), "2xx".to_owned())];
    assert_eq!(page.samples[0], ("requests_total".into(), labels, u64::MAX.to_string()));
    assert_eq!(page.samples[1], ("requests_total".into(), vec![], "0".into()));
}

#[test]
fn gauges_hold_negative_and_special_values() {
    let mut text = Exposition::default();
    let mut family = text.family("level", "Level.", Kind::Gauge).unwrap();
    for (name, value) in [("a", f64::INFINITY), ("b", f64::NEG_INFINITY), ("c", f64::NAN), ("d", 0.25)] {
        family.sample(&[("of", name)], value).unwrap();
    }
    family.sample(&[("of", "e")], -7_i64).unwrap();
    let values: Vec<String> = parse(text.as_str()).samples.into_iter().map(|sample| sample.2).collect();
    assert_eq!(values, ["+Inf", "-Inf", "NaN", "0.25", "-7"]);
}

#[test]
fn a_histogram_is_cumulative_and_ends_in_its_count() {
    let histogram = Histogram::default();
    let observed_ns = [50_000, 50_001, 2_000_000, 40_000_000_000, 100_000_000_000];
    for ns in observed_ns {
        histogram.observe_ns(ns);
    }
    let mut text = Exposition::default();
    let mut family = text.family("latency_seconds", "Time.", Kind::Histogram).unwrap();
    family.histogram(&[("route", "a")], &histogram.snapshot()).unwrap();
    let page = parse(text.as_str());
    assert_eq!(page.samples.len(), LE_NS.len() + 3);
    for (sample, bound_ns) in page.samples.iter().zip(LE_NS) {
        let (label, bound) = &sample.1[1];
        let expected = observed_ns.iter().filter(|&&ns| ns <= bound_ns).count();
        assert_eq!((label.as_str(), sample.2.as_str()), ("le", expected.to_string().as_str()));
        assert!((bound.parse::<f64>().unwrap() * 1e9 - bound_ns as f64).abs() < 1e-3);
    }
    let tail: Vec<(&str, &str)> =
        page.samples[LE_NS.len()..].iter().map(|s| (s.0.as_str(), s.2.as_str())).collect();
    assert_eq!(
        tail,
        [
            ("latency_seconds_bucket", "5"),
            ("latency_seconds_sum", "140.002100001"),
            ("latency_seconds_count", "5")
        ]
    );
}

#[test]
fn what_would_break_a_page_is_refused() {
    let mut text = Exposition::default();
    for name in ["", "9lives_total", "with space_total", "gr\u{fc}n_total"] {
        assert!(matches!(text.family(name, "", Kind::Counter), Err(Error::Name(_))), "{name}");
    }
    assert!(matches!(text.family("requests", "", Kind::Counter), Err(Error::Total(_))));
    assert!(matches!(text.family("level_total", "", Kind::Gauge), Err(Error::Total(_))));
    let mut family = text.family("latency_seconds", "", Kind::Histogram).unwrap();
    assert!(matches!(family.sample(&[], 1_u64), Err(Error::Kind(_))));
    for label in ["", "__name__", "a:b", "le", "1st"] {
        assert!(
            matches!(family.histogram(&[(label, "")], &Snapshot::default()), Err(Error::Name(_))),
            "{label}"
        );
    }
    assert!(matches!(text.family("latency_seconds", "", Kind::Histogram), Err(Error::Repeated(_))));
    assert!(matches!(
        text.family("a", "", Kind::Gauge).unwrap().histogram(&[], &Snapshot::default()),
        Err(Error::Kind(_))
    ));
    assert!(parse(text.as_str()).samples.is_empty());
}
