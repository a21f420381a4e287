//! Exceptions of the extension, and the one place where the crates' errors become Python exceptions.

use pyo3::create_exception;
use pyo3::exceptions::{PyLookupError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

create_exception!(trunkline_native, RingError, PyValueError, "A ring cannot be built or changed as asked.");
create_exception!(
    trunkline_native,
    PlanError,
    PyValueError,
    "A plan that the engine refuses, and why: `errors`. Nothing has changed."
);
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
create_exception!(
    trunkline_native,
    BreakerError,
    PyValueError,
    "A breaker setting is out of range, or a permit is not for this use."
);
create_exception!(trunkline_native, BreakerOpenError, PyRuntimeError, "The breaker refuses the call.");

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let python = module.py();
    module.add("PlanError", python.get_type::<PlanError>())?;
    module.add("RingError", python.get_type::<RingError>())?;
    module.add("RingEmptyError", python.get_type::<RingEmptyError>())?;
    module.add("QuotaError", python.get_type::<QuotaError>())?;
    module.add("BalanceError", python.get_type::<BalanceError>())?;
    module.add("NoServerError", python.get_type::<NoServerError>())?;
    module.add("BreakerError", python.get_type::<BreakerError>())?;
    let open_error = python.get_type::<BreakerOpenError>();
    open_error.setattr("retry_after", 0.0)?; // a default, so that the attribute is always there
    module.add("BreakerOpenError", open_error)
}

pub(crate) fn quota_error(error: &trunkline_ratelimit::QuotaError) -> PyErr {
    QuotaError::new_err(error.to_string())
}

pub(crate) fn breaker_error(error: &trunkline_breaker::BreakerError) -> PyErr {
    BreakerError::new_err(error.to_string())
}

/// `BreakerOpenError` with its attribute `retry_after`, in seconds.
#[cold]
pub(crate) fn breaker_open_error(python: Python<'_>, retry_after: f64) -> PyErr {
    let error = BreakerOpenError::new_err(format!("the breaker is open for another {retry_after:.3} s"));
    match error.value(python).setattr("retry_after", retry_after) {
        Ok(()) => error,
        Err(failed) => failed,
    }
}

pub(crate) fn ring_error(error: &trunkline_hashring::Error) -> PyErr {
    RingError::new_err(error.to_string())
}

pub(crate) fn balance_error(error: &trunkline_balance::Error) -> PyErr {
    BalanceError::new_err(error.to_string())
}
