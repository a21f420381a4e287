//! Changes to a message's header, collected by the filters and applied by the serialiser in one pass: it skips each line that
//! [`Edits::removes`] names and then writes the [`Edits::appended`] lines.
//!
//! Whose word counts when two filters name the same field follows from the order in which their edits would be applied: in
//! the chain's order for the request, in reverse for the response. Both are settled while the edits are made, so that reading
//! them costs nothing. A removal beats every line appended before it in that order, `set` is a removal and a line.

use smallvec::SmallVec;
use trunkline_http::reads_as;

/// Names and values up to here stay in the exchange itself: room for `RateLimit`, `RateLimit-Policy` and a request id, which
/// take 130 bytes.
type Text = SmallVec<[u8; 144]>;

/// Stands where a status is quoted until one comes; stays if none does, as curl writes it.
pub(crate) const NO_STATUS: &[u8] = b"000";

/// Header lines to take out and to add. Holds everything itself; nothing is borrowed from the request or the chain.
#[derive(Debug, Default)]
pub struct Edits {
    text: Text,
    lines: SmallVec<[Line; 4]>,
    /// Where in `text` the upstream's status belongs.
    statuses: SmallVec<[u32; 2]>,
    /// Bit `n` is set if a name of `n` bytes (modulo 64) is removed: lets nearly every header line pass with one test.
    removed_lengths: u64,
    reversed: bool,
    /// The filter that is editing.
    position: u8,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    /// Names start here in `text`, lower case.
    start: u32,
    value: u32,
    end: u32,
    position: u8,
    removal: bool,
}

impl Edits {
    /// For the response phase: filters that come later in the chain are applied earlier.
    pub(crate) fn reversed() -> Self {
        Self { reversed: true, ..Self::default() }
    }

    /// Whether the serialiser must do anything at all.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether a header line of this name, in any case, is to be left out; also if only a server may read it as one that is.
    #[inline]
    pub fn removes(&self, name: &str) -> bool {
        self.removed_lengths & length_bit(name) != 0 && self.removes_slowly(name)
    }

    /// Lines to write after the others: name in lower case, value without CR, LF or NUL.
    pub fn appended(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let lines = self.lines.iter().filter(|line| !line.removal);
        lines.map(|line| (line.name(&self.text), line.value(&self.text)))
    }

    pub(crate) fn enter(&mut self, position: u8) {
        self.position = position;
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let Self { text, lines, reversed, position, .. } = self;
        lines.retain(|line| {
            let outranked = !*reversed || line.position == *position;
            line.removal || !outranked || line.name(text) != name
        });
        self.removed_lengths |= length_bit(name);
        let start = self.text.len() as u32;
        self.text.extend_from_slice(name.as_bytes());
        let end = self.text.len() as u32;
        self.lines.push(Line { start, value: end, end, position: self.position, removal: true });
    }

    /// Adds a line; `write` puts its value. Control bytes that it puts are dropped, so that no value can end a line.
    pub(crate) fn append_with(&mut self, name: &str, write: impl FnOnce(&mut Value<'_>)) {
        if self.reversed && self.removes(name) && self.removed_by_an_earlier_filter(name) {
            return;
        }
        let start = self.text.len() as u32;
        self.text.extend_from_slice(name.as_bytes());
        let value = self.text.len() as u32;
        write(&mut Value { text: &mut self.text, statuses: &mut self.statuses });
        let end = self.text.len() as u32;
        self.lines.push(Line { start, value, end, position: self.position, removal: false });
    }

    pub(crate) fn append(&mut self, name: &str, value: &[u8]) {
        self.append_with(name, |out| out.put(value));
    }

    /// Writes the upstream's status where lines quote it; every status has three digits (RFC 9110 §15).
    pub(crate) fn fill_in_status(&mut self, status: u16) {
        for &start in &self.statuses {
            let places = self.text.get_mut(start as usize..start as usize + NO_STATUS.len());
            let digits = [status / 100 % 10, status / 10 % 10, status % 10];
            places.into_iter().flatten().zip(digits).for_each(|(place, digit)| *place = b'0' + digit as u8);
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
        self.statuses.clear();
        self.removed_lengths = 0;
        self.position = 0;
    }

    #[cold]
    fn removes_slowly(&self, name: &str) -> bool {
        let mut removals = self.lines.iter().filter(|line| line.removal);
        removals.any(|line| reads_as(name, line.name(&self.text)))
    }

    fn removed_by_an_earlier_filter(&self, name: &str) -> bool {
        let mut removals = self.lines.iter().filter(|line| line.removal && line.position < self.position);
        removals.any(|line| line.name(&self.text) == name)
    }
}

impl Line {
    fn name<'t>(&self, text: &'t [u8]) -> &'t str {
        let name = text.get(self.start as usize..self.value as usize).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    fn value<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.value as usize..self.end as usize).unwrap_or_default()
    }
}

/// Where a header's value is written to.
pub(crate) struct Value<'t> {
    text: &'t mut Text,
    statuses: &'t mut SmallVec<[u32; 2]>,
}

impl Value<'_> {
    /// Appends `bytes` without the control bytes among them (RFC 9110 §5.5); HTAB may stay.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        // Without an early exit the compiler looks at 16 bytes at a time.
        if bytes.iter().fold(false, |found, byte| found | is_control(*byte)) {
            self.text.extend(bytes.iter().copied().filter(|byte| !is_control(*byte)));
        } else {
            self.text.extend_from_slice(bytes);
        }
    }

    /// Leaves room for a status that [`Edits::fill_in_status`] brings.
    pub(crate) fn put_status(&mut self) {
        self.statuses.push(self.text.len() as u32);
        self.text.extend_from_slice(NO_STATUS);
    }

    pub(crate) fn put_number(&mut self, number: u64) {
        self.text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7F
}

fn length_bit(name: &str) -> u64 {
    1 << (name.len() & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(edits: &Edits) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        edits.appended().map(|(name, value)| (name.to_owned(), text(value))).collect()
    }

    #[test]
    fn forward_the_last_filter_wins() {
        let mut edits = Edits::default();
        edits.append("x-a", b"1");
        edits.enter(1);
        edits.set("x-a", b"2");
        assert_eq!(lines(&edits), [("x-a".into(), "2".into())]);
        assert!(edits.removes("X-A") && !edits.removes("x-b"));
    }

    #[test]
    fn reversed_the_first_filter_wins() {
        let mut edits = Edits::reversed();
        edits.set("x-a", b"outer");
        edits.append("x-b", b"outer");
        edits.enter(1);
        edits.set("x-a", b"inner");
        edits.remove("x-b");
        assert_eq!(lines(&edits), [("x-a".into(), "outer".into()), ("x-b".into(), "outer".into())]);
    }

    #[test]
    fn a_server_cannot_be_given_a_removed_field_under_a_name_that_it_folds() {
        let mut edits = Edits::default();
        edits.remove("x-removed");
        edits.set("x-user-id", b"1");
        for name in ["X_Removed", "x.removed", "X!REMOVED", "X_User-Id", "x_user_id"] {
            assert!(edits.removes(name), "{name}");
        }
        for name in ["XaRemoved", "X-Remove", "X_User_Id_", "X1User1Id"] {
            assert!(!edits.removes(name), "{name}");
        }
    }

    #[test]
    fn a_filter_may_set_and_then_add() {
        for mut edits in [Edits::default(), Edits::reversed()] {
            edits.set("x-a", b"1");
            edits.append("x-a", b"2");
            assert_eq!(lines(&edits).len(), 2);
        }
    }

    #[test]
    fn no_value_can_end_a_line() {
        let mut edits = Edits::default();
        edits.append("x-a", b"a\r\nx-evil: 1\0\x7f\tb");
        assert_eq!(lines(&edits), [("x-a".into(), "ax-evil: 1\tb".into())]);
    }

    #[test]
    fn clearing_leaves_nothing_behind() {
        let mut edits = Edits::default();
        edits.set("x-a", b"1");
        edits.clear();
        assert!(edits.is_empty() && !edits.removes("x-a"));
    }
}
