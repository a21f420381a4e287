"""Certificates of issuers as Prometheus text, beside what the data plane writes itself."""

from collections.abc import Sequence
from typing import Any

_FAMILIES = (
    (
        "trunkline_acme_certificate_not_after_seconds",
        "End of what is kept: certificate or stand-in, in seconds since 1970.",
        lambda one: one["not_after"],
    ),
    (
        "trunkline_acme_certificate_issued",
        "1 if the issuer's certificate is there, 0 if a stand-in is.",
        lambda one: int(one["state"] == "issued"),
    ),
    (
        "trunkline_acme_failures",
        "Attempts at a certificate that failed in a row.",
        lambda one: one["failures"],
    ),
)


def certificates_as_metrics(certificates: Sequence[dict[str, Any]]) -> bytes:
    """The families, nothing without certificates.

    Args:
        certificates: As `Renewal.status` tells them; neither names nor issuers can hold quotes.
    """
    lines: list[str] = []
    for family, description, value_of in _FAMILIES if certificates else ():
        lines += [f"# HELP {family} {description}", f"# TYPE {family} gauge"]
        for one in certificates:
            value = value_of(one)
            labels = f'names="{" ".join(one["names"])}",issuer="{one["issuer"]}"'
            lines += [] if value is None else [f"{family}{{{labels}}} {value}"]
    return "".join(f"{line}\n" for line in lines).encode()
