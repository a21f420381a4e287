"""Durations, sizes, addresses and statuses, read and written back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.config.values import (
    Address,
    duration_text,
    parse_address,
    parse_duration,
    parse_size,
    parse_statuses,
    size_text,
)


@pytest.mark.parametrize(
    ("text", "value_ms"),
    [
        ("0s", 0),
        ("250ms", 250),
        ("1.5s", 1_500),
        ("0.07s", 70),
        ("2m", 120_000),
        ("1h", 3_600_000),
        ("366d", 31_622_400_000),
    ],
)
def test_duration(text: str, value_ms: int) -> None:
    assert parse_duration(text) == value_ms


@pytest.mark.parametrize(
    "text", ["", "5", "-1s", "1 s", "s", "1S", "1e3s", "0.0001s", "367d", "\u0661s", 5, None]
)
def test_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "value_bytes"), [("0B", 0), ("16KB", 16_384), ("1.5MB", 1_572_864), ("1GB", 1 << 30)]
)
def test_size(text: str, value_bytes: int) -> None:
    assert parse_size(text) == value_bytes


@pytest.mark.parametrize("text", ["", "16", "16kb", "16 KB", "0.5B", "9999999GB", 16])
def test_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_size(text)


@given(st.integers(0, 366 * 86_400_000))
def test_a_duration_survives_being_written(value_ms: int) -> None:
    assert parse_duration(duration_text(value_ms)) == value_ms


@given(st.integers(0, 1 << 50))
def test_a_size_survives_being_written(value_bytes: int) -> None:
    assert parse_size(size_text(value_bytes)) == value_bytes


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80)),
        ("[::1]:80", Address("::1", 80)),
        ("[0:0:0:0:0:0:0:1]:80", Address("::1", 80)),
        ("App.Internal:65535", Address("app.internal", 65535)),
        ("my_service:0", Address("my_service", 0)),
    ],
)
def test_address(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("127.0.0.1:80", None),
        ("[::1]:80", None),
        ("App.Internal:80", "app.internal"),
        ("app.internal.:80", "app.internal"),
    ],
)
def test_the_name_of_an_address(text: str, name: str | None) -> None:
    assert parse_address(text).name == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "a",
        "a:",
        "a:b",
        "a:-1",
        "a:65536",
        "1.2.3:80",
        "01.2.3.4:80",
        "::1:80",
        "[::g]:80",
        "a b:80",
        "-a:80",
        "\u0661.1.1.1:80",
        80,
    ],
)
def test_no_address(text: object) -> None:
    with pytest.raises(ValueError, match=r"must be|out of range"):
        parse_address(text)


@pytest.mark.parametrize(
    ("value", "pair"), [(404, (404, 404)), ("404", (404, 404)), ("200-299", (200, 299))]
)
def test_statuses(value: object, pair: tuple[int, int]) -> None:
    assert parse_statuses(value) == pair


@pytest.mark.parametrize("value", [99, 600, "2xx", "299-200", "200-", True, 200.0])
def test_no_statuses(value: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_statuses(value)
