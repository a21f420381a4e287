"""The tables of traffic management: what they become in the plan, and which mistakes are told."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from trunkline.core.config.traffic import PoolTraffic, RouteTraffic, Sticky

KEY = "0123456789abcdef0123456789abcdef"

ROUTES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "split": (
        {"split": [{"pool": "a", "weight": 90}, {"pool": "b", "weight": 10}]},
        {"split": [{"pool": "lb.a", "weight": 90}, {"pool": "lb.b", "weight": 10}]},
    ),
    "split by a key": (
        {"split": [{"pool": "a", "weight": 1}], "split_by": "cookie:session"},
        {"split": [{"pool": "lb.a", "weight": 1}], "split_by": "cookie:session"},
    ),
    "mirror": (
        {"mirror": {"pool": "shadow", "percent": 0.5}},
        {"mirror": {"pool": "lb.shadow", "percent": 0.5}},
    ),
    "hedge": ({"hedge": {"after": "50ms"}}, {"hedge": {"after_ms": 50}}),
    "compression alone": ({"compression": True}, {"compression": {}}),
    "compression": (
        {
            "compression": {
                "codings": ["gzip", "br"],
                "types": ["text/*", "*+json"],
                "min_size": "1KB",
                "levels": {"gzip": 9},
            }
        },
        {
            "compression": {
                "codings": ["gzip", "br"],
                "types": ["text/*", "*+json"],
                "min_bytes": 1024,
                "levels": {"gzip": 9},
            }
        },
    ),
    "bulkhead": (
        {"concurrency": {"max": 100, "queue": 10, "queue_timeout": "2s"}},
        {"concurrency": {"max": 100, "queue": 10, "queue_timeout_ms": 2000}},
    ),
    "adaptive alone": (
        {"concurrency": {"max": 100, "adaptive": True}},
        {"concurrency": {"max": 100, "adaptive": {}}},
    ),
    "adaptive": (
        {"concurrency": {"max": 9, "adaptive": {"min": 2, "initial": 5, "window": "500ms"}}},
        {"concurrency": {"max": 9, "adaptive": {"min": 2, "initial": 5, "window_ms": 500}}},
    ),
    "adaptive below the usual minimum": (
        {"concurrency": {"max": 3, "adaptive": True}},
        {"concurrency": {"max": 3, "adaptive": {"min": 3}}},
    ),
}


@pytest.mark.parametrize("name", ROUTES)
def test_a_routes_plan(name: str) -> None:
    written, planned = ROUTES[name]
    assert RouteTraffic.model_validate(written).traffic_to_plan("lb") == planned


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no weight": ({"split": [{"pool": "a", "weight": 0}]}, "needs a weight above 0"),
    "a pool twice": ({"split": [{"pool": "a", "weight": 1}] * 2}, "a pool stands there twice"),
    "an empty split": ({"split": []}, "at least 1 item"),
    "a key without a split": ({"split_by": "ip"}, "does nothing without split"),
    "a key that is none": (
        {"split": [{"pool": "a", "weight": 1}], "split_by": "path"},
        "should match pattern",
    ),
    "more than all": ({"mirror": {"pool": "a", "percent": 101}}, "less than or equal to 100"),
    "one try": ({"hedge": {"after": "1s", "attempts": 1}}, "greater than or equal to 2"),
    "no pause": ({"hedge": {"after": "0s"}}, "greater than 0"),
    "a coding twice": ({"compression": {"codings": ["br", "br"]}}, "each may stand there once"),
    "a type that is none": ({"compression": {"types": ["text"]}}, "should match pattern"),
    "a level too high": ({"compression": {"levels": {"br": 11}}}, "less than or equal to 6"),
    "nothing at all": ({"concurrency": {"max": 0}}, "greater than or equal to 1"),
    "minimum above maximum": (
        {"concurrency": {"max": 5, "adaptive": {"min": 6}}},
        "must be in this order",
    ),
    "initial above maximum": (
        {"concurrency": {"max": 5, "adaptive": {"initial": 6}}},
        "must be in this order",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_routes_mistakes(name: str) -> None:
    written, message = MISTAKES[name]
    with pytest.raises(ValidationError, match=message):
        RouteTraffic.model_validate(written)


def test_a_pools_plan(tmp_path: Path) -> None:
    written = {"sticky": {"key": KEY, "name": "app", "max_age": "1h", "same_site": "strict"}}
    sticky = PoolTraffic.model_validate(written).sticky
    assert sticky is not None
    plan = sticky.to_plan_in(tmp_path)
    keys = plan.pop("keys")
    assert plan == {"name": "app", "max_age_s": 3600, "same_site": "strict"}
    assert [key.get_secret_value() for key in keys] == [KEY]
    assert KEY not in repr(sticky)


def test_keys_from_a_file_the_first_one_signs(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY[::-1]}\n\n{KEY}\n")
    plan = Sticky.model_validate({"key_file": "keys"}).to_plan_in(tmp_path)
    assert plan == {"keys": [SecretStr(KEY[::-1]), SecretStr(KEY)]}


@pytest.mark.parametrize("content", [b"", b"short\n", f"{KEY}\nshort\n".encode(), b"\xff" * 40])
def test_a_key_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(ValueError, match=r"needs a key|is not a text file"):
        Sticky.model_validate({"key_file": "keys"}).to_plan_in(tmp_path)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "needs exactly one of key, key_file"),
        ({"key": KEY, "key_file": "f"}, "needs exactly one of key, key_file"),
        ({"key": "short"}, "at least 32"),
        ({"key": KEY, "name": "a b"}, "should match pattern"),
        ({"key": KEY, "same_site": "none", "secure": False}, "browsers refuse it"),
    ],
)
def test_a_sticky_cookies_mistakes(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Sticky.model_validate(written)
