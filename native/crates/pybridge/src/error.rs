//! Exceptions of the extension, and the one place where the crates' errors become Python exceptions.

use pyo3::create_exception;
use pyo3::exceptions::{PyLookupError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

create_exception!(trunkline_native, RingError, PyValueError, "A ring cannot be built or changed as asked.");
create_exception!(trunkline_native, RingEmptyError, PyLookupError, "The ring has no node to answer with.");
create_exception!(
    trunkline_native,
    QuotaError,
    PyValueError,
    "A limit, period, burst or cost is out of range."
);
create_exception!(
    trunkline_native,
    BalanceError,
    PyValueError,
    "A balancer cannot be built or changed as asked."
);
create_exception!(trunkline_native, NoServerError, PyLookupError, "No server is eligible right now.");
create_exception!(trunkline_native, BreakerError, PyValueError, "A breaker setting is out of range.");
create_exception!(trunkline_native, BreakerOpenError, PyRuntimeError, "The breaker refuses the call.");

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let python = module.py();
    module.add("RingError", python.get_type::<RingError>())?;
    module.add("RingEmptyError", python.get_type::<RingEmptyError>())?;
    module.add("QuotaError", python.get_type::<QuotaError>())?;
    module.add("BalanceError", python.get_type::<BalanceError>())?;
    module.add("NoServerError", python.get_type::<NoServerError>())?;
    module.add("BreakerError", python.get_type::<BreakerError>())?;
    module.add("BreakerOpenError", python.get_type::<BreakerOpenError>())
}
