"""Files that cannot be used, as ``trunkline check`` tells of them: file, line, key, what is wrong.

A run of the command takes most of a second, so one configuration holds every mistake, each in a
listener or a pool of its own, and is checked once.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from testkit.certificates import DAY, Authority
from testkit.ports import free_port

# Name → the certificate's files, key below `tls.certificates[0]`, complaint.
CERTIFICATES = {
    "mismatch": ("mismatch.pem", "mismatch.key", "key", "mismatch.key: is not the key of "),
    "expired": ("expired.pem", "expired.key", "certificate", "expired.pem: expired on "),
    "to-come": ("to-come.pem", "to-come.key", "certificate", "to-come.pem: is not valid before "),
    "missing": ("none.pem", "sound.key", "certificate", "none.pem: no such file"),
    "keyless": ("sound.pem", "none.key", "key", "none.key: no such file"),
    "no-key": ("sound.pem", "sound.pem", "key", "sound.pem: holds no private key"),
    "garbage": ("garbage.pem", "sound.key", "certificate", "garbage.pem: "),
    "cut": ("cut.pem", "sound.key", "certificate", "cut.pem: "),
    "encrypted": ("sound.pem", "encrypted.key", "key", "encrypted.key: the key is encrypted"),
    "folder": (".", "sound.key", "certificate", ": "),
}
# Name → a line of a listener, its key below `tls`, complaint.
LISTENERS = {
    "ca-missing": ('tls.client_auth.ca = "none.pem"', "client_auth.ca", "none.pem: no such file"),
    "ca-is-key": ('tls.client_auth.ca = "sound.key"', "client_auth.ca", "sound.key: holds no"),
    "crl-missing": (
        'tls.client_auth = { ca = "authority.pem", crl = ["none.crl"] }',
        "client_auth.crl[0]",
        "none.crl: no such file",
    ),
    "crl-is-ca": (
        'tls.client_auth = { ca = "authority.pem", crl = ["authority.pem"] }',
        "client_auth.crl[0]",
        "authority.pem: holds no revocation list",
    ),
}
# The same for a pool.
POOLS = {
    "their-ca": ('tls.ca = "none.pem"', "ca", "none.pem: no such file"),
    "our-key": (
        'tls = { certificate = "sound.pem", key = "other.key" }',
        "key",
        "other.key: is not the key of ",
    ),
    "our-certificate": ('tls = { certificate = "none.pem" }', "certificate", "none.pem: no such"),
    "our-both": (
        'tls = { certificate = "none.pem", key = "sound.key" }',
        "certificate",
        "none.pem: no such file",
    ),
}


def write_files(folder: Path) -> None:
    authority = Authority(folder)
    sound = authority.issue("sound", ["sound.example"])
    authority.issue("mismatch", ["a.example"])
    other = authority.issue("other", ["a.example"])
    (folder / "mismatch.key").write_bytes(other.key.read_bytes())
    authority.issue("expired", starts=-2 * DAY, ends=-DAY)
    authority.issue("to-come", starts=DAY, ends=2 * DAY)
    (folder / "garbage.pem").write_bytes(os.urandom(1_000))
    (folder / "cut.pem").write_bytes(sound.certificate.read_bytes()[:200])
    encrypt = ["openssl", "pkcs8", "-topk8", "-in", "sound.key", "-out", "encrypted.key"]
    subprocess.run([*encrypt, "-passout", "pass:x"], cwd=folder, check=True, timeout=10)


def listener(name: str, certificate: str, key: str, more: str = "") -> str:
    return (
        f'[lb.http.{name}]\nlisten = "127.0.0.1:{free_port()}"\npool = "app"\n'
        f'tls.certificates = [{{ certificate = "{certificate}", key = "{key}" }}]\n{more}\n'
    )


def pool(name: str, line: str) -> str:
    return f'[lb.pools.{name}]\nservers = ["127.0.0.1:9100"]\n{line}\n'


def everything() -> str:
    parts = [listener(name, *row[:2]) for name, row in CERTIFICATES.items()]
    parts += [listener(name, "sound.pem", "sound.key", row[0]) for name, row in LISTENERS.items()]
    parts += [pool(name, row[0]) for name, row in POOLS.items()]
    return "".join([*parts, listener("sound", "sound.pem", "sound.key"), pool("app", "")])


def check(folder: Path, config: str) -> tuple[int, list[str]]:
    """Exit code, and the lines that it prints."""
    (folder / "t.toml").write_text(config)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trunkline", "check", "t.toml"],
        env={**os.environ, "TRUNKLINE_STATE_DIR": str(folder / "state")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    write_files(path)
    return path


@pytest.fixture(scope="module")
def printed(folder: Path) -> list[str]:
    code, lines = check(folder, everything())
    assert code == 1
    return lines


@pytest.fixture(scope="module")
def config(printed: list[str], folder: Path) -> list[str]:
    """The lines of the configuration."""
    return (folder / "t.toml").read_text().splitlines()


def problem(
    printed: list[str], config: list[str], folder: Path, table: str
) -> tuple[str, str, str]:
    """The one problem of a table: its key there, the message, the line it stands on."""
    found = [line for line in printed if re.search(rf" {re.escape(table)}[.:]", line)]
    assert len(found) == 1, found
    match = re.fullmatch(rf"t\.toml:(\d+): {re.escape(table)}\.(\S+): {folder}/?(.*)", found[0])
    assert match is not None, found
    return match[2], match[3], config[int(match[1]) - 1]


@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates(printed: list[str], config: list[str], folder: Path, name: str) -> None:
    key, message, line = problem(printed, config, folder, f"lb.http.{name}.tls")
    certificate, _, expected_key, complaint = CERTIFICATES[name]
    assert key == f"certificates[0].{expected_key}"
    assert message.startswith(complaint)
    assert line.startswith("tls.certificates")
    assert f'"{certificate}"' in line


@pytest.mark.parametrize(
    ("table", "rows", "name"),
    [
        *(("lb.http", LISTENERS, name) for name in LISTENERS),
        *(("lb.pools", POOLS, name) for name in POOLS),
    ],
)
def test_authorities_lists_and_our_own(
    *,
    printed: list[str],
    config: list[str],
    folder: Path,
    table: str,
    rows: Mapping[str, tuple[str, str, str]],
    name: str,
) -> None:
    key, message, line = problem(printed, config, folder, f"{table}.{name}.tls")
    written, expected_key, complaint = rows[name]
    assert key == expected_key
    assert message.startswith(complaint)
    assert line == written


def test_nothing_else_is_wrong(printed: list[str]) -> None:
    assert not any(".sound." in line for line in printed)
    assert printed[-1] == f"t.toml: {len(printed) - 1} problems"


def test_what_is_sound(folder: Path) -> None:
    sound = listener("sound", "sound.pem", "sound.key", 'tls.client_auth.ca = "authority.pem"')
    ours = pool(
        "app", 'tls = { ca = "authority.pem", certificate = "sound.pem", key = "sound.key" }'
    )
    assert check(folder, sound + ours) == (0, ["t.toml: ok"])
