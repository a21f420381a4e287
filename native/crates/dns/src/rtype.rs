//! Record types that the server has to know: where names are in their data, and what it does about them.

/// Numbers of the IANA registry that have a meaning here.
pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const MX: u16 = 15;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
pub const DNAME: u16 = 39;
pub const OPT: u16 = 41;
pub const DS: u16 = 43;
pub const RRSIG: u16 = 46;
pub const NSEC: u16 = 47;
pub const DNSKEY: u16 = 48;
pub const NSEC3: u16 = 50;
pub const NSEC3PARAM: u16 = 51;
pub const TSIG: u16 = 250;
pub const IXFR: u16 = 251;
pub const AXFR: u16 = 252;
pub const MAILB: u16 = 253;
pub const MAILA: u16 = 254;
pub const ANY: u16 = 255;

/// Part of a record's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// So many bytes.
    Fixed(usize),
    /// One length byte and what it says.
    Text,
    /// A name that may be compressed: only in types that every resolver has always known (RFC 3597 §4).
    Name,
    /// A name that is written out.
    WholeName,
}

/// The parts of a type's data up to the last name in it; what is behind does not matter here.
pub fn parts(rtype: u16) -> &'static [Part] {
    use Part::{Fixed, Name, Text, WholeName};
    match rtype {
        // NS MD MF CNAME MB MG MR PTR
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 => &[Name],
        // SOA MINFO
        6 | 14 => &[Name, Name],
        MX => &[Fixed(2), Name],
        // RP TALINK
        17 | 58 => &[WholeName, WholeName],
        // AFSDB RT KX LP
        18 | 21 | 36 | 107 => &[Fixed(2), WholeName],
        // SIG RRSIG
        24 | RRSIG => &[Fixed(18), WholeName],
        // PX
        26 => &[Fixed(2), WholeName, WholeName],
        // NXT DNAME NSEC
        30 | DNAME | NSEC => &[WholeName],
        SRV => &[Fixed(6), WholeName],
        // NAPTR
        35 => &[Fixed(4), Text, Text, Text, WholeName],
        // SVCB HTTPS
        64 | 65 => &[Fixed(2), WholeName],
        _ => &[],
    }
}

/// Types that only a question may have (RFC 6895 §3.1).
pub fn is_question_only(rtype: u16) -> bool {
    rtype == OPT || (128..=255).contains(&rtype)
}
