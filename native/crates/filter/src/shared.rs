//! Things that outlive a configuration: found by name, kept as long as their settings stay the same.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

/// Things of type `T` by name, each with the settings it was made from.
#[derive(Debug)]
pub(crate) struct Shared<S, T> {
    entries: BTreeMap<String, (S, Arc<T>)>,
}

impl<S, T> Default for Shared<S, T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<S, T> Clone for Shared<S, T>
where
    S: Clone,
{
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone() }
    }
}

impl<S: PartialEq, T> Shared<S, T> {
    /// The thing of that name: this configuration's, else the `previous` one's if its settings are equal, else a new one.
    ///
    /// # Errors
    /// This configuration uses the name with other settings, or `make` fails.
    pub(crate) fn obtain<E: Display>(
        &mut self,
        previous: &Self,
        name: &str,
        settings: S,
        make: impl FnOnce(&S) -> Result<T, E>,
    ) -> Result<Arc<T>, String> {
        if let Some((known, thing)) = self.entries.get(name) {
            let same = *known == settings;
            return same.then(|| Arc::clone(thing)).ok_or_else(|| {
                format!("{name:?} is used elsewhere with other settings; what shares a name shares its state")
            });
        }
        let thing = match previous.entries.get(name) {
            Some((known, thing)) if *known == settings => Arc::clone(thing),
            _ => Arc::new(make(&settings).map_err(|error| error.to_string())?),
        };
        self.entries.insert(name.to_owned(), (settings, Arc::clone(&thing)));
        Ok(thing)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &S, &Arc<T>)> {
        self.entries.iter().map(|(name, (settings, thing))| (name.as_str(), settings, thing))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[allow(clippy::trivially_copy_pass_by_ref)] // the signature is `obtain`'s
    fn make(settings: &u32) -> Result<u32, String> {
        if *settings == 0 { Err("zero".into()) } else { Ok(*settings) }
    }

    #[test]
    fn carries_over_while_settings_are_equal() {
        let mut first = Shared::default();
        let original = first.obtain(&Shared::default(), "a", 1, make).unwrap();
        let mut second = Shared::default();
        assert!(Arc::ptr_eq(&original, &second.obtain(&first, "a", 1, make).unwrap()));
        let mut third = Shared::default();
        assert!(!Arc::ptr_eq(&original, &third.obtain(&second, "a", 2, make).unwrap()));
    }

    #[test]
    fn one_name_means_one_setting() {
        let mut shared = Shared::default();
        let first = shared.obtain(&Shared::default(), "a", 1, make).unwrap();
        assert!(Arc::ptr_eq(&first, &shared.obtain(&Shared::default(), "a", 1, make).unwrap()));
        assert!(shared.obtain(&Shared::default(), "a", 2, make).unwrap_err().contains("other settings"));
        assert_eq!(shared.obtain(&Shared::default(), "b", 0, make).unwrap_err(), "zero");
    }
}
