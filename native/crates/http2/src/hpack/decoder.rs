//! Field blocks into a list of fields. Literals are decoded where they stay; an entry of a table is copied there, with what is
//! known about it. A list that is refused is decoded to its end all the same: the dynamic table has to stay in step.

use super::dynamic_table::{DynamicTable, Found};
use super::{HpackError, huffman, integer, static_table};
use crate::fields::{Fields, Mark};
use crate::kind::Kind;
use crate::settings::DEFAULT_TABLE_BYTES;

type Decoded<T = ()> = Result<T, HpackError>;

#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// What the peer's encoder may make of the table: our setting, once it is acknowledged.
    max_capacity: usize,
    /// The setting went below the table's capacity: the next block must start with an update (RFC 9113 §4.3.1).
    must_shrink: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        let capacity = DEFAULT_TABLE_BYTES as usize;
        Self { table: DynamicTable::new(capacity), max_capacity: capacity, must_shrink: false }
    }
}

impl Decoder {
    pub const fn table(&self) -> &DynamicTable {
        &self.table
    }

    /// The peer has acknowledged our `SETTINGS_HEADER_TABLE_SIZE`.
    pub fn acknowledged(&mut self, table_bytes: u32) {
        self.max_capacity = table_bytes as usize;
        self.must_shrink = self.table.capacity() > self.max_capacity;
    }

    /// Decodes a whole block into `fields`, which is emptied before.
    ///
    /// # Errors
    /// The tables are out of step then: the decoder is not to be used again.
    pub fn decode(&mut self, block: &[u8], fields: &mut Fields) -> Decoded {
        fields.clear();
        let mut rest = block;
        self.size_updates(&mut rest)?;
        while let [first, tail @ ..] = rest {
            rest = tail;
            match *first {
                0x80.. => self.indexed(*first, &mut rest, fields)?,
                0x40.. => self.literal(integer::decode(*first, 6, &mut rest)?, true, &mut rest, fields)?,
                0x20.. => return Err(HpackError("late_table_size_update")),
                _ => self.literal(integer::decode(*first, 4, &mut rest)?, false, &mut rest, fields)?,
            }
        }
        Ok(())
    }

    /// Only at the start of a block, and not above the setting (RFC 7541 §4.2, §6.3).
    fn size_updates(&mut self, rest: &mut &[u8]) -> Decoded {
        while let [first @ 0x20..0x40, tail @ ..] = *rest {
            *rest = tail;
            let capacity = integer::decode(*first, 5, rest)?;
            if capacity > self.max_capacity {
                return Err(HpackError("table_size_above_setting"));
            }
            self.table.set_capacity(capacity);
            self.must_shrink = false;
        }
        if self.must_shrink { Err(HpackError("table_size_update_missing")) } else { Ok(()) }
    }

    #[inline]
    fn indexed(&self, first: u8, rest: &mut &[u8], fields: &mut Fields) -> Decoded {
        let index = integer::decode(first, 7, rest)?;
        let found = self.find(index)?;
        fields.push(found.kind, found.name, found.value);
        Ok(())
    }

    /// Index 0 is none, 1 to 61 are static, the dynamic table follows (RFC 7541 §2.3.3).
    #[inline]
    fn find(&self, index: usize) -> Decoded<Found<'_>> {
        let place = index.checked_sub(1).ok_or(HpackError("index_zero"))?;
        if let Some((name, value)) = static_table::ENTRIES.get(place) {
            let kind = static_table::kind(index);
            // Values of the table are good ones.
            return Ok(Found { name: name.as_bytes(), value: value.as_bytes(), name_kind: kind, kind });
        }
        self.table.get(place - static_table::ENTRIES.len()).ok_or(HpackError("index_beyond_tables"))
    }

    fn literal(&mut self, index: usize, keep: bool, rest: &mut &[u8], fields: &mut Fields) -> Decoded {
        let mark = fields.mark();
        let name_kind = if index == 0 {
            string(rest, &mut fields.text)?;
            Kind::of(fields.name_from(mark))
        } else {
            let found = self.find(index)?;
            if !matches!(found.name_kind, Kind::Pseudo(_)) {
                fields.text.extend_from_slice(found.name);
            }
            found.name_kind
        };
        let kind = Self::value(name_kind, mark, rest, fields)?;
        if keep {
            let (name, value) = fields.last_from(mark, name_kind);
            self.table.insert(name, value, name_kind, kind);
        }
        fields.commit(kind, mark);
        Ok(())
    }

    /// The value of a pseudo-header field takes the place of its name.
    fn value(name_kind: Kind, mark: Mark, rest: &mut &[u8], fields: &mut Fields) -> Decoded<Kind> {
        if let Kind::Pseudo(_) = name_kind {
            fields.text.truncate(mark.text);
            string(rest, &mut fields.text)?;
            return Ok(name_kind.with_value(fields.name_from(mark)));
        }
        string(rest, &mut fields.values)?;
        Ok(name_kind.with_value(fields.value_from(mark)))
    }
}

/// `H Length(7) String` (RFC 7541 §5.2), appended to `out`.
#[inline]
fn string(rest: &mut &[u8], out: &mut Vec<u8>) -> Decoded {
    let [first, tail @ ..] = *rest else { return Err(HpackError("string_missing")) };
    *rest = tail;
    let length = integer::decode(*first, 7, rest)?;
    let (bytes, tail) = rest.split_at_checked(length).ok_or(HpackError("string_cut_short"))?;
    *rest = tail;
    if first & 0x80 == 0 {
        out.extend_from_slice(bytes);
        Ok(())
    } else {
        huffman::decode(bytes, out)
    }
}
