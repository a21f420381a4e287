//! HPACK (RFC 7541). The decoder is complete; the encoder uses the static table alone, so that a block can be made before a
//! connection is chosen and sent again on another.
//!
//! ```text
//!   1xxxxxxx  indexed field                     §6.1
//!   01xxxxxx  literal, added to the table       §6.2.1
//!   001xxxxx  table size update                 §6.3
//!   0001xxxx  literal, never indexed            §6.2.3
//!   0000xxxx  literal, not added                §6.2.2
//! ```

mod decoder;
mod dynamic_table;
pub mod encode;
mod huffman;
mod integer;
mod static_table;

pub use decoder::Decoder;
pub use dynamic_table::DynamicTable;

/// Both ends' tables are out of step from here on: the connection ends with `COMPRESSION_ERROR` (RFC 9113 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HpackError(pub &'static str);
