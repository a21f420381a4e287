//! The command line: `--name value` pairs, each read as the type that its reader asks for.

use std::collections::HashMap;
use std::error::Error;
use std::str::FromStr;

pub struct Options(HashMap<String, String>);

impl Options {
    /// Fails on a name without dashes or without a value.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut found = HashMap::new();
        while let Some(argument) = arguments.next() {
            let name = argument.strip_prefix("--").ok_or_else(|| format!("what is {argument}?"))?;
            let value = arguments.next().ok_or_else(|| format!("--{name} needs a value"))?;
            found.insert(name.to_owned(), value);
        }
        Ok(Self(found))
    }

    /// Fails if the option is missing or no `T`.
    pub fn get<T: FromStr>(&self, name: &str) -> Result<T, Box<dyn Error>> {
        let value = self.0.get(name).ok_or_else(|| format!("--{name} is missing"))?;
        value.parse().map_err(|_| format!("--{name} {value}: not understood").into())
    }
}
