//! What this binary was made of and with; `build.rs` finds it out.

use pyo3::prelude::*;
use pyo3::types::PyDict;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(build_info, module)?)
}

/// What this binary was made of and with: `version`, `profile`, `target`, `rustc` and `commit` (`unknown` without a checkout).
#[pyfunction]
fn build_info(python: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(python);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("profile", env!("TRUNKLINE_PROFILE"))?;
    info.set_item("target", env!("TRUNKLINE_TARGET"))?;
    info.set_item("rustc", env!("TRUNKLINE_RUSTC"))?;
    info.set_item("commit", env!("TRUNKLINE_COMMIT"))?;
    Ok(info)
}
