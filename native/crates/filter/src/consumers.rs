//! Who may call: from a key's digest to a consumer. Keys themselves are forgotten when this is built.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ahash::RandomState;

use crate::digest::Digest;
use crate::error::Error;
use crate::plan;

/// The plan's consumers, found by API key. One lookup costs a SHA-256 and a hash table access.
#[derive(Debug, Default)]
pub struct Consumers {
    names: Vec<Box<str>>,
    by_key: HashMap<Digest, u32, RandomState>,
}

impl Consumers {
    /// Hashes every key.
    ///
    /// # Errors
    /// Names used twice, empty names, empty keys, keys that two consumers share: all of them, without the keys.
    pub fn compile(plan: &[plan::Consumer]) -> Result<Self, Vec<Error>> {
        let mut consumers = Self::default();
        let mut errors = Vec::new();
        for consumer in plan {
            let problems = consumers.add(consumer);
            errors.extend(
                problems.into_iter().map(|problem| Error::Consumer { name: consumer.name.clone(), problem }),
            );
        }
        if errors.is_empty() { Ok(consumers) } else { Err(errors) }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn name(&self, index: u32) -> &str {
        self.names.get(index as usize).map_or("", |name| name)
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<u32> {
        self.names.iter().position(|known| **known == *name).map(|index| index as u32)
    }

    pub(crate) fn identify(&self, key: &[u8]) -> Option<u32> {
        self.by_key.get(&Digest::of(key)).copied()
    }

    fn add(&mut self, consumer: &plan::Consumer) -> Vec<String> {
        let mut problems = Vec::new();
        if consumer.name.is_empty() || self.index_of(&consumer.name).is_some() {
            problems.push("a consumer's name must be unique and not empty".to_owned());
        }
        let index = self.names.len() as u32;
        self.names.push(consumer.name.as_str().into());
        for (position, key) in consumer.keys.iter().enumerate() {
            if let Some(problem) = self.add_key(key, index) {
                problems.push(format!("keys[{position}]: {problem}"));
            }
        }
        problems
    }

    fn add_key(&mut self, key: &str, consumer: u32) -> Option<String> {
        if key.is_empty() {
            return Some("a key must not be empty".to_owned());
        }
        match self.by_key.entry(Digest::of(key.as_bytes())) {
            Entry::Occupied(entry) => {
                let owner = *entry.get() as usize;
                Some(format!("the key belongs to {:?} already", self.names.get(owner)))
            }
            Entry::Vacant(entry) => {
                entry.insert(consumer);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn consumer(name: &str, keys: &[&str]) -> plan::Consumer {
        plan::Consumer { name: name.into(), keys: keys.iter().map(|key| (*key).into()).collect() }
    }

    #[test]
    fn keys_lead_to_their_consumer() {
        let consumers =
            Consumers::compile(&[consumer("shop", &["k1", "k2"]), consumer("app", &["k3"])]).unwrap();
        for (key, name) in [("k1", Some("shop")), ("k2", Some("shop")), ("k3", Some("app")), ("k4", None)] {
            assert_eq!(consumers.identify(key.as_bytes()).map(|index| consumers.name(index)), name);
        }
    }

    #[test]
    fn every_error_is_reported_and_none_shows_a_key() {
        let plan = [consumer("a", &["secret-1", ""]), consumer("a", &["secret-1"])];
        let errors = Consumers::compile(&plan).unwrap_err();
        assert_eq!(errors.len(), 3, "{errors:?}");
        assert!(!format!("{errors:?}").contains("secret"));
    }

    #[test]
    fn debug_output_shows_no_key() {
        let consumers = Consumers::compile(&[consumer("a", &["secret-1"])]).unwrap();
        assert!(!format!("{consumers:?}").contains("secret"));
    }
}
