//! # trunkline-pybridge: the Python face of the native crates.
//!
//! The only crate that knows `PyO3`, one file per exposed thing; this file is the table of contents.
//! Short calls (a ring lookup, a limiter check) keep the interpreter attached: detaching costs more than they do.

// Doc comments of classes and methods are Python's docstrings, in the Google style, where names of arguments stand bare. The
// stubs hold the same texts; tests/native/test_documentation.py compares them.
#![allow(clippy::doc_markdown)]

mod balance;
mod breaker;
mod build_info;
mod clock;
mod engine;
mod error;
mod hashring;
mod ratelimit;

use pyo3::prelude::*;

/// The extension module `trunkline_native._native`; `trunkline_native` re-exports its public names.
#[pymodule(name = "_native", gil_used = false)]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    error::register(module)?;
    build_info::register(module)?;
    clock::register(module)?;
    hashring::register(module)?;
    ratelimit::register(module)?;
    balance::register(module)?;
    breaker::register(module)?;
    engine::register(module)
}
