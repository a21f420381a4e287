"""The one door to the native module: nothing else imports `trunkline_native`.

Raises ImportError if the two distributions are not of the same version: the plan is a contract
between exactly these two.
"""

from importlib.metadata import version

from trunkline import __version__
from trunkline_native import Engine, PlanError, build_info

__all__ = ["Engine", "PlanError", "build_info", "native_version"]


def native_version() -> str:
    """The version of the installed `trunkline-native` distribution."""
    return version("trunkline-native")


if native_version() != __version__:
    raise ImportError(
        f"trunkline {__version__} needs trunkline-native {__version__}, not {native_version()}; "
        "install both together"
    )
