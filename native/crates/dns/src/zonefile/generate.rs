//! `$GENERATE` (BIND's, and everybody's since): one record for each number of a range.
//!
//! ```text
//!   $GENERATE 1-254/2 host-$ A 192.0.2.$        `$` is the number, `$$` and `\$` a dollar sign
//!   $GENERATE 0-15 ${16,3,d} PTR h${0,2,x}.     offset, width, base: d o x X
//! ```

/// More would be a mistake.
const MOST: u64 = 1 << 20;

/// `from-to[/step]`.
pub(super) fn range(text: &str) -> Result<impl Iterator<Item = u32> + use<>, String> {
    let refuse = || format!("\"{text}\" is no range: from-to or from-to/step, at most {MOST} numbers");
    let (ends, step) = text.split_once('/').unwrap_or((text, "1"));
    let (from, to) = ends.split_once('-').ok_or_else(refuse)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| refuse());
    let (from, to, step) = (number(from)?, number(to)?, number(step)?);
    if from > to || step == 0 || u64::from((to - from) / step) >= MOST {
        return Err(refuse());
    }
    Ok((from..=to).step_by(step as usize))
}

/// The text with the number put in.
pub(super) fn fill(text: &str, number: u32) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(tail) = rest.strip_prefix("\\$").or_else(|| rest.strip_prefix("$$")) {
            out.push('$');
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix("${") {
            let (modifier, tail) =
                tail.split_once('}').ok_or_else(|| format!("\"{text}\" has a {{ that is not closed"))?;
            out.push_str(&modified(modifier, number)?);
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix('$') {
            out.push_str(&number.to_string());
            rest = tail;
        } else {
            // An escape and what it escapes stay as they are.
            let end = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn modified(modifier: &str, number: u32) -> Result<String, String> {
    let refuse = || format!("\"${{{modifier}}}\" is not ${{offset,width,base}} with base d, o, x or X");
    let mut parts = modifier.split(',');
    let offset: i64 = parts.next().unwrap_or("0").parse().map_err(|_| refuse())?;
    let width: usize = parts.next().unwrap_or("0").parse().map_err(|_| refuse())?;
    let base = parts.next().unwrap_or("d");
    let value = u64::try_from(i64::from(number) + offset).map_err(|_| refuse())?;
    if width > 63 || parts.next().is_some() {
        return Err(refuse());
    }
    Ok(match base {
        "d" => format!("{value:0width$}"),
        "o" => format!("{value:0width$o}"),
        "x" => format!("{value:0width$x}"),
        "X" => format!("{value:0width$X}"),
        _ => return Err(refuse()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_put_in() {
        for (text, filled) in [
            ("host-$", "host-7"),
            ("${16,3}", "023"),
            ("h${0,2,x}.", "h07."),
            ("a$$b\\$c", "a$b$c"),
            ("\\065$", "\\0657"),
            ("${-7}", "0"),
        ] {
            assert_eq!(fill(text, 7).as_deref(), Ok(filled), "{text}");
        }
        assert_eq!(range("1-9/4").map(Iterator::collect), Ok(vec![1, 5, 9]));
        for text in ["1", "2-1", "1-2/0", "0-4294967295", "a-b"] {
            assert!(range(text).is_err(), "{text}");
        }
        for text in ["${1", "${a}", "${0,0,q}", "${-8}"] {
            assert!(fill(text, 7).is_err(), "{text}");
        }
    }
}
