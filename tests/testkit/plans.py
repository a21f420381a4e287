"""Configurations that tests keep as files, and the certificates that they name."""

import shutil
from pathlib import Path

from testkit.certificates import Authority


def copy_plans(source: Path, target: Path) -> Path:
    """A copy of a folder of configurations, with fresh certificates in it.

    Args:
        source: The folder.
        target: Where the copy goes; it does not exist yet.
    """
    shutil.copytree(source, target)
    authority = Authority(target, "ca")
    site = authority.issue("site", ["shop.example"])
    authority.vouch(site, file_name="site.ocsp")
    us = authority.issue("us")
    (target / "both.pem").write_bytes(us.key.read_bytes() + us.certificate.read_bytes())
    authority.revoke(us, file_name="revoked.crl")
    (target / "tickets.keys").write_text("42" * 48 + "\n")
    return target
