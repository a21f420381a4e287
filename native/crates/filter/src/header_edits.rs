//! A plan's `HeaderEdits`, compiled: names checked and lower-cased, values parsed as templates.

use crate::edits::Edits;
use crate::error::Site;
use crate::plan;
use crate::template::{Facts, Place, Template};

/// Fields that the engine owns: editing one could change where a message ends or which connection it is about
/// (RFC 9110 §7.6.1, RFC 9112 §6); Host has a rewrite of its own.
const RESERVED: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

#[derive(Debug, Default)]
pub(crate) struct HeaderEdits {
    remove: Box<[String]>,
    set: Box<[(String, Template)]>,
    add: Box<[(String, Template)]>,
}

impl HeaderEdits {
    pub(crate) fn compile(plan: &plan::HeaderEdits, key: &str, place: Place, site: &mut Site<'_>) -> Self {
        Self {
            remove: compile_names(&plan.remove, &format!("{key}.remove"), site),
            set: compile_lines(&plan.set, &format!("{key}.set"), place, site),
            add: compile_lines(&plan.add, &format!("{key}.add"), place, site),
        }
    }

    pub(crate) fn apply(&self, facts: &Facts<'_>, edits: &mut Edits) {
        for name in &*self.remove {
            edits.remove(name);
        }
        for (name, template) in &*self.set {
            edits.remove(name);
            append(name, template, facts, edits);
        }
        for (name, template) in &*self.add {
            append(name, template, facts, edits);
        }
    }
}

/// The name in lower case if it is a token (RFC 9110 §5.6.2) and not the engine's own.
pub(crate) fn check_name(name: &str) -> Result<String, String> {
    let lower = name.to_ascii_lowercase();
    if !is_token(&lower) {
        return Err(format!("{name:?} is not a header name"));
    }
    if RESERVED.contains(&&*lower) {
        return Err(format!("{name} belongs to the connection and cannot be edited"));
    }
    Ok(lower)
}

pub(crate) fn is_token(text: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn append(name: &str, template: &Template, facts: &Facts<'_>, edits: &mut Edits) {
    edits.append_with(name, |value| template.render_line(facts, value));
}

fn compile_names(names: &[String], key: &str, site: &mut Site<'_>) -> Box<[String]> {
    names.iter().filter_map(|name| site.take(key, check_name(name))).collect()
}

fn compile_lines(
    lines: &[(String, String)],
    key: &str,
    place: Place,
    site: &mut Site<'_>,
) -> Box<[(String, Template)]> {
    let mut compiled = Vec::with_capacity(lines.len());
    for (name, value) in lines {
        let checked = site.take(key, check_name(name));
        let template = site.take(format!("{key}.{name}"), Template::parse(value, place));
        compiled.extend(checked.zip(template));
    }
    compiled.into()
}
