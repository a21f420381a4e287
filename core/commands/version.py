"""`version`: what exactly runs here. Imports nothing that is slow."""

import platform
from importlib.metadata import PackageNotFoundError, version

from trunkline import __version__


def build_info() -> dict[str, str]:
    """Versions of everything whose version matters in a report."""
    return {
        "trunkline": __version__,
        "native": _version("trunkline-native"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
