"""`version`: what exactly runs here. Imports nothing that is slow."""

import platform
from importlib.metadata import PackageNotFoundError, version

from trunkline import __version__


def build_info() -> dict[str, str]:
    """Versions of everything whose version matters in a report."""
    return {
        "trunkline": __version__,
        "native": _version("trunkline-native"),
        **_native_build(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
    }


def _native_build() -> dict[str, str]:
    """How the native module was built; nothing if it cannot be imported (`doctor` says why)."""
    try:
        from trunkline.core.native import native_build
    except ImportError:
        return {}
    build = native_build()
    return {name: build[name] for name in ("profile", "target", "rustc", "commit")}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
