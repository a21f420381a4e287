//! Sets of networks in CIDR notation, as sorted ranges: a lookup is a binary search, whatever the number of networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses covered by a list of networks. IPv4 addresses mapped into IPv6 (`::ffff:a.b.c.d`) count as IPv4; `::/0` is all
/// of IPv6 and nothing of IPv4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Ranges<Ipv4Addr>,
    v6: Ranges<Ipv6Addr>,
}

impl Networks {
    /// `10.0.0.0/8`, `2001:db8::/32`, or a single address. Bits beyond the prefix are ignored, as nginx does.
    ///
    /// # Errors
    /// Every text that is not a network, with its position in the list.
    pub fn parse<T: AsRef<str>>(networks: &[T]) -> Result<Self, Vec<(usize, String)>> {
        let (mut v4, mut v6, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (index, text) in networks.iter().enumerate() {
            match parse_network(text.as_ref()) {
                Ok(Network::V4(range)) => v4.push(range),
                Ok(Network::V6(range)) => v6.push(range),
                Err(problem) => errors.push((index, problem)),
            }
        }
        if errors.is_empty() { Ok(Self { v4: Ranges::new(v4), v6: Ranges::new(v6) }) } else { Err(errors) }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.contains(address),
            IpAddr::V6(address) => self.v6.contains(address),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }
}

enum Network {
    V4((Ipv4Addr, Ipv4Addr)),
    V6((Ipv6Addr, Ipv6Addr)),
}

/// Disjoint inclusive ranges in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ranges<A>(Box<[(A, A)]>);

impl<A> Default for Ranges<A> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<A: Ord + Copy> Ranges<A> {
    /// CIDR blocks either nest or are disjoint, so a range that begins inside the previous one lies inside it.
    fn new(mut ranges: Vec<(A, A)>) -> Self {
        ranges.sort_unstable_by(|left, right| left.0.cmp(&right.0).then(right.1.cmp(&left.1)));
        ranges.dedup_by(|next, kept| next.0 <= kept.1);
        Self(ranges.into())
    }

    fn contains(&self, address: A) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= address);
        let candidate = after.checked_sub(1).and_then(|index| self.0.get(index));
        candidate.is_some_and(|(_, last)| address <= *last)
    }
}

fn parse_network(text: &str) -> Result<Network, String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let wrong = || format!("{text:?} is not a network such as 10.0.0.0/8 or 2001:db8::/32");
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| wrong())?
        }
        Some(_) => return Err(wrong()),
        None => width,
    };
    if prefix > width {
        return Err(format!("{text:?}: the prefix is longer than {width} bits"));
    }
    Ok(match address {
        IpAddr::V4(address) => Network::V4(v4_range(address, prefix)),
        IpAddr::V6(address) => v6_range(address, prefix),
    })
}

fn v4_range(address: Ipv4Addr, prefix: u32) -> (Ipv4Addr, Ipv4Addr) {
    let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
    let bits = address.to_bits();
    (Ipv4Addr::from_bits(bits & !host), Ipv4Addr::from_bits(bits | host))
}

/// A network inside `::ffff:0:0/96` is an IPv4 network written the long way.
fn v6_range(address: Ipv6Addr, prefix: u32) -> Network {
    if let (Some(mapped), Some(prefix)) = (address.to_ipv4_mapped(), prefix.checked_sub(96)) {
        return Network::V4(v4_range(mapped, prefix));
    }
    let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
    let bits = address.to_bits();
    Network::V6((Ipv6Addr::from_bits(bits & !host), Ipv6Addr::from_bits(bits | host)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn covers_exactly_its_networks() {
        let networks = Networks::parse(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "192.168.1.7",
            "2001:db8::/32",
            "::ffff:172.16.0.0/108",
            "10.255.255.255",
        ])
        .unwrap();
        let cases = [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("192.168.1.7", true),
            ("192.168.1.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
            ("::ffff:10.2.3.4", true),
            ("::ffff:11.2.3.4", false),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
        ];
        for (address, covered) in cases {
            assert_eq!(networks.contains(address.parse().unwrap()), covered, "{address}");
        }
    }

    #[test]
    fn whole_families_stay_apart() {
        let v6 = Networks::parse(&["::/0"]).unwrap();
        let v4 = Networks::parse(&["0.0.0.0/0"]).unwrap();
        for (address, in_v4) in [("1.2.3.4", true), ("::ffff:1.2.3.4", true), ("::1", false)] {
            let address = address.parse().unwrap();
            assert_eq!((v4.contains(address), v6.contains(address)), (in_v4, !in_v4));
        }
    }

    #[test]
    fn every_mistake_is_reported() {
        let texts = ["10.0.0.0/33", "10.0.0.0", "nonsense", "::1/129", "1.2.3.4/+8", "1.2.3.4/"];
        let errors = Networks::parse(&texts).unwrap_err();
        let positions: Vec<usize> = errors.into_iter().map(|(index, _)| index).collect();
        assert_eq!(positions, [0, 2, 3, 4, 5]);
        assert!(Networks::parse::<&str>(&[]).unwrap().is_empty());
    }
}
