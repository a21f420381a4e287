//! A named, weighted member of a ring.

use crate::Error;

/// One node: its name decides where it sits, its weight how much it gets. Weight 0 gets nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Identity of the node; unique in its ring, never empty. Ketama reads `host:port` out of it.
    pub name: String,
    /// Share relative to the other nodes.
    pub weight: u32,
}

impl Node {
    /// A node; the ring checks the name when it takes it in.
    pub fn new(name: impl Into<String>, weight: u32) -> Self {
        Self { name: name.into(), weight }
    }
}

/// Refuses empty and repeated names.
pub(crate) fn check(nodes: &[Node]) -> Result<(), Error> {
    let mut names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    names.sort_unstable();
    if names.first() == Some(&"") {
        return Err(Error::EmptyName);
    }
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::DuplicateNode(pair[0].to_owned())),
        None => Ok(()),
    }
}

/// Sum of all weights, wide enough not to overflow.
pub(crate) fn total_weight(nodes: &[Node]) -> u64 {
    nodes.iter().map(|node| u64::from(node.weight)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_present_and_unique() {
        let nodes = |names: &[&str]| names.iter().map(|name| Node::new(*name, 1)).collect::<Vec<_>>();
        assert_eq!(check(&nodes(&["a", "b"])), Ok(()));
        assert_eq!(check(&nodes(&["a", ""])), Err(Error::EmptyName));
        assert_eq!(check(&nodes(&["a", "b", "a"])), Err(Error::DuplicateNode("a".into())));
    }
}
