//! Names in text, which may be relative.

use crate::name;

/// The wire form of a name: `@` is the origin, and what has no dot at its end is below it.
pub(super) fn absolute(text: &str, origin: &[u8]) -> Result<Vec<u8>, String> {
    if text == "@" {
        return Ok(origin.to_vec());
    }
    let mut wire = name::parse(text).ok_or_else(|| format!("\"{text}\" is no domain name"))?;
    if !ends_with_dot(text) {
        wire.pop();
        wire.extend_from_slice(origin);
    }
    if wire.len() > name::MAX_NAME_BYTES {
        return Err(format!("\"{text}\" is longer than 255 bytes with its origin"));
    }
    Ok(wire)
}

/// A dot that is escaped ends nothing.
fn ends_with_dot(text: &str) -> bool {
    let Some(rest) = text.strip_suffix('.') else { return false };
    let escapes = rest.bytes().rev().take_while(|&byte| byte == b'\\').count();
    escapes % 2 == 0
}
