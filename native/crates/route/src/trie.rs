//! All paths of all hosts in one trie of segments.
//!
//! Each host has a root; below it every segment is an edge, literal (in one shared [`Keyed`]) or parameter. A node holds the
//! entries that end there, sorted by rank. A walk visits every node that the path can reach: at most all nodes of the host, in
//! practice one per segment. Regular expressions are not here but beside the root (`router.rs`).

use smallvec::SmallVec;

use crate::keyed::Keyed;
use crate::path::{Path, Segment, split};

pub(crate) const NONE: u32 = u32::MAX;

/// What must be left of the path at the node where an entry ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Nothing: exact paths and templates.
    End,
    /// Nothing or more segments: a prefix.
    Any,
    /// A slash, whatever follows: a prefix with a final slash.
    Slash,
    /// At least one character after the slash: `{*rest}`.
    Text,
}

impl Tail {
    #[inline]
    fn fits(self, remaining: Option<&str>) -> bool {
        match self {
            Self::End => remaining.is_none(),
            Self::Any => true,
            Self::Slash => remaining.is_some(),
            Self::Text => remaining.is_some_and(|rest| !rest.is_empty()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    entry: u32,
    tail: Tail,
}

#[derive(Debug)]
struct Node {
    /// Child for any segment that is not empty, or `NONE`.
    param: u32,
    has_literals: bool,
    /// By rank. Two fit into the place that a `Vec` would take.
    candidates: SmallVec<[Candidate; 2]>,
}

impl Node {
    #[inline]
    fn has_children(&self) -> bool {
        self.has_literals || self.param != NONE
    }
}

/// Receives the entries whose host and path hold.
pub(crate) trait Offer {
    /// Whether this entry, or a later one, could still matter.
    fn wants(&self, entry: u32) -> bool;
    /// Takes an entry that is wanted.
    fn offer(&mut self, entry: u32);
}

/// The finished trie.
#[derive(Debug, Default)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    edges: Keyed,
}

impl Trie {
    /// A new root; its number.
    pub(crate) fn root(&mut self) -> u32 {
        self.nodes.push(Node { param: NONE, has_literals: false, candidates: SmallVec::new() });
        self.nodes.len() as u32 - 1
    }

    /// Adds an entry. Must be called in the order of the entries.
    pub(crate) fn insert(&mut self, root: u32, path: &Path, entry: u32) {
        let (node, tail) = match path {
            Path::Exact(exact) => (self.literals(root, &exact[1..]), Tail::End),
            Path::Prefix(prefix) if &**prefix == "/" => (root, Tail::Slash),
            Path::Prefix(prefix) => match prefix[1..].strip_suffix('/') {
                Some(above) => (self.literals(root, above), Tail::Slash),
                None => (self.literals(root, &prefix[1..]), Tail::Any),
            },
            Path::Template(segments) => self.template(root, segments),
            Path::Regex(_) => return,
        };
        self.nodes[node as usize].candidates.push(Candidate { entry, tail });
    }

    pub(crate) fn shrink(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.candidates.shrink_to_fit());
        self.nodes.shrink_to_fit();
        self.edges.shrink();
    }

    /// Offers every entry under `root` whose path holds, deepest node first: better ranks tend to lie deeper, and a
    /// wanted entry costs a look at its predicates.
    #[inline]
    pub(crate) fn walk(&self, root: u32, path: &str, offer: &mut impl Offer) {
        // `OPTIONS *` and the like have no segments; the prefix `/` takes them too.
        let rest = path.strip_prefix('/');
        if rest.is_some() && self.nodes[root as usize].has_children() {
            self.descend(root, rest, offer);
        } else {
            self.offer_at(root, rest.or(Some("")), offer);
        }
    }

    fn descend(&self, node: u32, remaining: Option<&str>, offer: &mut impl Offer) {
        let here = &self.nodes[node as usize];
        if let Some(rest) = remaining.filter(|_| here.has_children()) {
            let (segment, after) = split(rest);
            if here.has_literals
                && let Some(child) = self.edges.get(node, segment)
            {
                self.descend(child, after, offer);
            }
            if here.param != NONE && !segment.is_empty() {
                self.descend(here.param, after, offer);
            }
        }
        self.offer_at(node, remaining, offer);
    }

    #[inline]
    fn offer_at(&self, node: u32, remaining: Option<&str>, offer: &mut impl Offer) {
        for candidate in &self.nodes[node as usize].candidates {
            if !offer.wants(candidate.entry) {
                break;
            }
            if candidate.tail.fits(remaining) {
                offer.offer(candidate.entry);
            }
        }
    }

    fn literals(&mut self, root: u32, path: &str) -> u32 {
        path.split('/').fold(root, |node, segment| self.literal(node, segment))
    }

    fn template(&mut self, root: u32, segments: &[Segment]) -> (u32, Tail) {
        let mut node = root;
        for segment in segments {
            node = match segment {
                Segment::Literal(text) => self.literal(node, text),
                Segment::Param(_) => self.param(node),
                Segment::Rest(_) => return (node, Tail::Text),
            };
        }
        (node, Tail::End)
    }

    fn literal(&mut self, node: u32, segment: &str) -> u32 {
        let new = self.nodes.len() as u32;
        let child = self.edges.get_or_insert(node, segment, new);
        if child == new {
            self.nodes[node as usize].has_literals = true;
            self.root();
        }
        child
    }

    fn param(&mut self, node: u32) -> u32 {
        if self.nodes[node as usize].param == NONE {
            self.nodes[node as usize].param = self.root();
        }
        self.nodes[node as usize].param
    }
}
