//! Prometheus text exposition format, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>. The borrow of [`Family`] keeps the samples of a family together and
//! a set of names refuses to write one twice: both would make a scraper drop the whole page. Does not write timestamps,
//! summaries or exemplars.

use std::collections::HashSet;
use std::fmt::{Display, Write};

use crate::error::Error;
use crate::histogram::{LE_NS, Snapshot};

/// What a family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; the name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations; the name should end in `_seconds`.
    Histogram,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A sample's value; integers keep all their digits.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// From a [`crate::Counter`].
    Unsigned(u64),
    /// From a [`crate::Gauge`].
    Signed(i64),
    /// A ratio or a time.
    Float(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl Display for Value {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Unsigned(value) => value.fmt(out),
            Self::Signed(value) => value.fmt(out),
            Self::Float(f64::INFINITY) => out.write_str("+Inf"),
            Self::Float(f64::NEG_INFINITY) => out.write_str("-Inf"),
            Self::Float(value) => value.fmt(out),
        }
    }
}

/// A page under construction.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    written: HashSet<String>,
}

impl Exposition {
    /// Opens a family; its samples follow through the returned value.
    pub fn family(&mut self, name: &str, help: &str, kind: Kind) -> Result<Family<'_>, Error> {
        if !is_name(name, true) {
            return Err(Error::Name(name.to_owned()));
        }
        if (kind == Kind::Counter) != name.ends_with("_total") {
            return Err(Error::Total(name.to_owned()));
        }
        if !self.written.insert(name.to_owned()) {
            return Err(Error::Repeated(name.to_owned()));
        }
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.word()));
        Ok(Family { page: self, name: name.to_owned(), kind })
    }

    /// The page so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The finished page.
    pub fn into_string(self) -> String {
        self.text
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String has no failure to report.
        let _ = self.text.write_fmt(text);
    }
}

/// One open family of an [`Exposition`].
#[derive(Debug)]
pub struct Family<'p> {
    page: &'p mut Exposition,
    name: String,
    kind: Kind,
}

impl Family<'_> {
    /// Writes one counter or gauge sample. Labels are `(name, value)`; values may hold any text.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) -> Result<&mut Self, Error> {
        self.check(labels, self.kind != Kind::Histogram)?;
        self.line("", labels, None, value.into());
        Ok(self)
    }

    /// Writes one histogram in seconds: cumulative buckets at [`LE_NS`] and `+Inf`, sum, count.
    pub fn histogram(&mut self, labels: &[(&str, &str)], snapshot: &Snapshot) -> Result<&mut Self, Error> {
        self.check(labels, self.kind == Kind::Histogram)?;
        for bound_ns in LE_NS {
            let bound = Value::Float(bound_ns as f64 / 1e9);
            self.line("_bucket", labels, Some(bound), Value::Unsigned(snapshot.at_most(bound_ns)));
        }
        let count = Value::Unsigned(snapshot.count());
        self.line("_bucket", labels, Some(Value::Float(f64::INFINITY)), count);
        self.line("_sum", labels, None, Value::Float(snapshot.sum_ns() as f64 / 1e9));
        self.line("_count", labels, None, count);
        Ok(self)
    }

    fn check(&self, labels: &[(&str, &str)], kind_fits: bool) -> Result<(), Error> {
        let reserved = |name: &str| self.kind == Kind::Histogram && name == "le";
        match labels.iter().find(|(name, _)| !is_name(name, false) || reserved(name)) {
            Some((name, _)) => Err(Error::Name((*name).to_owned())),
            None if !kind_fits => Err(Error::Kind(self.name.clone())),
            None => Ok(()),
        }
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], le: Option<Value>, value: Value) {
        let page = &mut *self.page;
        page.push(format_args!("{}{suffix}", self.name));
        let mut separator = '{';
        for (name, text) in labels {
            page.push(format_args!("{separator}{name}=\""));
            escape(&mut page.text, text);
            page.text.push('"');
            separator = ',';
        }
        if let Some(bound) = le {
            page.push(format_args!("{separator}le=\"{bound}\""));
            separator = ',';
        }
        page.push(format_args!("{} {value}\n", if separator == '{' { "" } else { "}" }));
    }
}

fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            other => text.push(other),
        }
    }
}

/// The data model's names: metrics may use colons, labels may not and `__` is reserved.
fn is_name(name: &str, metric: bool) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (metric && byte == b':');
    let starts = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    starts && name.bytes().all(allowed) && (metric || !name.starts_with("__"))
}
