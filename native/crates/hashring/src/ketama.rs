//! Ketama: each node at 160 points per unit of weight on a circle of 2^32, byte-compatible with nginx.
//!
//! Promises the choices of nginx's `hash KEY consistent` (`ngx_http_upstream_hash_module.c`), which are those of
//! Perl's `Cache::Memcached::Fast`: a point is `crc32(host, 0, port, previous point)`, a key is at `crc32(key)` and belongs
//! to the first point at or after it. Nodes out of service are passed over clockwise, as nginx does up to its 20th step,
//! where it falls back to round robin and this ring goes on. `tests/vectors/nginx_ketama` holds recorded choices.

use crate::node::total_weight;
use crate::{Error, Node};

/// `ngx_http_upstream_init_chash`: "npoints = peers->total_weight * 160".
const POINTS_PER_WEIGHT: u32 = 160;

/// 16 million points, 200 MB: ten thousand nodes of weight 10. More is a mistake in the weights.
const MAX_TOTAL_WEIGHT: u64 = 100_000;

#[derive(Debug, Clone)]
pub(crate) struct Ketama {
    /// Sorted; apart from `owners` so that the search touches half the memory.
    points: Vec<u32>,
    owners: Vec<u32>,
    /// Where the points of each equal arc of the circle begin, one arc per point or two: a search is over one arc instead
    /// of all points, 31 ns instead of 53 with a hundred nodes.
    arcs: Vec<u32>,
    /// How far to shift a hash to get its arc.
    shift: u32,
}

impl Ketama {
    pub(crate) fn new(nodes: &[Node]) -> Result<Self, Error> {
        let total = total_weight(nodes);
        if total > MAX_TOTAL_WEIGHT {
            return Err(Error::TooHeavy { total, limit: MAX_TOTAL_WEIGHT });
        }
        let mut circle: Vec<(u32, u32)> = nodes
            .iter()
            .zip(0..)
            .flat_map(|(node, owner)| points(node).map(move |point| (point, owner)))
            .collect();
        circle.sort_by_key(|&(point, _)| point);
        circle.dedup_by_key(|&mut (point, _)| point);
        let (points, owners): (Vec<u32>, Vec<u32>) = circle.into_iter().unzip();
        let bits = points.len().max(2).ilog2();
        let shift = u32::BITS - bits;
        let begin = |arc: u64| points.partition_point(|&point| u64::from(point) < arc << shift) as u32;
        let arcs = (0..=1_u64 << bits).map(begin).collect();
        Ok(Self { points, owners, arcs, shift })
    }

    pub(crate) fn find(&self, key: &[u8], mut accept: impl FnMut(usize) -> bool) -> Option<usize> {
        let hash = crc32fast::hash(key);
        let start = self.first_at_or_after(hash);
        let (before, after) = self.owners.split_at(start);
        after.iter().chain(before).map(|&owner| owner as usize).find(|&owner| accept(owner))
    }

    /// The index of the first point that is not below `hash`; one past the last if there is none.
    fn first_at_or_after(&self, hash: u32) -> usize {
        let arc = (hash >> self.shift) as usize;
        let (begin, end) = (self.arcs[arc] as usize, self.arcs[arc + 1] as usize);
        begin + self.points[begin..end].partition_point(|&point| point < hash)
    }
}

/// The points of one node; each is hashed from the one before it.
fn points(node: &Node) -> impl Iterator<Item = u32> {
    let (host, port) = host_and_port(&node.name);
    let mut base = crc32fast::Hasher::new();
    base.update(host.as_bytes());
    base.update(b"\0");
    base.update(port.as_bytes());
    let next = move |previous: &u32| {
        let mut hasher = base.clone();
        hasher.update(&previous.to_le_bytes());
        Some(hasher.finalize())
    };
    std::iter::successors(next(&0), next).take((node.weight * POINTS_PER_WEIGHT) as usize)
}

/// nginx's split of a server's name: digits after the last colon are the port, `unix:` is cut off.
fn host_and_port(name: &str) -> (&str, &str) {
    if let Some(path) = strip_unix(name) {
        return (path, "");
    }
    match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
        _ => (name, ""),
    }
}

fn strip_unix(name: &str) -> Option<&str> {
    let (prefix, path) = name.split_at_checked(5)?;
    prefix.eq_ignore_ascii_case("unix:").then_some(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_split_as_in_nginx() {
        assert_eq!(host_and_port("10.0.0.1:80"), ("10.0.0.1", "80"));
        assert_eq!(host_and_port("example.test"), ("example.test", ""));
        assert_eq!(host_and_port("[::1]:80"), ("[::1]", "80"));
        assert_eq!(host_and_port("host:http"), ("host:http", ""));
        assert_eq!(host_and_port("unix:/run/app.sock"), ("/run/app.sock", ""));
        assert_eq!(host_and_port("UNIX:/run/a:80"), ("/run/a:80", ""));
        assert_eq!(host_and_port("ü:80"), ("ü", "80"));
    }

    #[test]
    fn a_unit_of_weight_is_160_points() {
        let ring = Ketama::new(&[Node::new("10.0.0.1:80", 1), Node::new("10.0.0.2:80", 3)]).unwrap();
        assert_eq!(ring.points.len(), 640);
        assert_eq!(ring.owners.iter().filter(|&&owner| owner == 1).count(), 480);
        assert!(ring.points.is_sorted());
    }

    #[test]
    fn the_search_by_arcs_is_the_search_over_all() {
        for weights in [&[][..], &[1], &[1, 2, 3]] {
            let nodes: Vec<Node> =
                weights.iter().map(|&weight| Node::new(format!("n{weight}"), weight)).collect();
            let ring = Ketama::new(&nodes).unwrap();
            let around =
                ring.points.iter().flat_map(|&point| [point.wrapping_sub(1), point, point.wrapping_add(1)]);
            for hash in around.chain([0, 1, u32::MAX - 1, u32::MAX]) {
                assert_eq!(ring.first_at_or_after(hash), ring.points.partition_point(|&point| point < hash));
            }
        }
    }

    #[test]
    fn too_many_points_are_refused() {
        let result = Ketama::new(&[Node::new("a", 1), Node::new("b", 100_000)]);
        assert_eq!(result.unwrap_err(), Error::TooHeavy { total: 100_001, limit: 100_000 });
    }
}
