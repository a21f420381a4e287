"""The extension module. Times are seconds (float) at this boundary; inside they are nanoseconds."""

__all__ = [
    "RingError",
    "RingEmptyError",
    "QuotaError",
    "BalanceError",
    "NoServerError",
    "BreakerError",
    "BreakerOpenError",
]

# --- errors ---------------------------------------------------------------------------------------

class RingError(ValueError): ...
class RingEmptyError(LookupError): ...
class QuotaError(ValueError): ...
class BalanceError(ValueError): ...
class NoServerError(LookupError): ...
class BreakerError(ValueError): ...
class BreakerOpenError(RuntimeError): ...

# --- hashring -------------------------------------------------------------------------------------

# --- ratelimit ------------------------------------------------------------------------------------

# --- balance --------------------------------------------------------------------------------------

# --- breaker --------------------------------------------------------------------------------------
