"""The documents are true, as far as a program can tell.

Examples of configurations pass `trunkline check`, examples of Python run, links lead somewhere, and
the pages that claim to list every metric and every reason do.
"""

import re
from pathlib import Path

import pytest

from testkit.certificates import Authority
from trunkline.cli import load_roles
from trunkline.core.config.load import load
from trunkline.core.instance import apply
from trunkline.core.native import Engine

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder, pattern in (
        (".", "*.md"),
        ("docs", "**/*.md"),
        ("examples", "**/*.md"),
        ("loadtests", "**/*.md"),
        ("native", "*.md"),
    )
    for path in (ROOT / folder).glob(pattern)
)
# The examples read secrets from the environment, as they advise.
ENVIRONMENT = {
    "ADMIN_TOKEN": "a-long-enough-token",
    "ALICE_KEY": "alices-own-key",
    "STICKY_KEY": "a-key-that-has-32-characters-or-more",
}
# The zone file that they name.
ZONE = "$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"
CRATES = ROOT / "native/crates"
# Reason and status, as the sources declare them; the groups of the pattern are (status, reason).
REASONS = {
    "engine/src/failure.rs": (r'^    [A-Z_]+ = \w+ (\d+) "(\w+)";', (1, 2)),
    "http/src/error.rs": (r'^    \w+ = "(\w+)" => (\d+),', (2, 1)),
    "filter/src/reason.rs": (r'^    \w+ = (\d+) "(\w+)",', (1, 2)),
}
# The parser has one status for requests; these are found in responses only.
OF_RESPONSES = {"bad_status_line": "502"}
# The page calls a failure that comes too late for an answer "cut", unless the response was whole.
CUT = ("cut", "0")
# Reasons of connections and streams, which have no status.
OF_CONNECTIONS = {
    "tls/src/error.rs": r'"(tls_\w+)"',
    "proxyproto/src/error.rs": r'"(proxy_\w+)"',
    "engine/src/greet.rs": r'"((?:tls|proxy)_\w+)"',
    "engine/src/acceptor.rs": r'"(accept_\w+)"',
    "engine/src/upstream.rs": r'"(upstream_\w+)"',
    "grpc/src/error.rs": r'=> "(grpc_(?!health)\w+)"',
    "http2/src/kind.rs": r' = "([a-z]\w+)",\n',
    "http2/src/connection/floods.rs": r'= "(\w+_flood)"',
}
# Said of servers, under the names of requests; or a mistake of our own.
NOT_OF_CLIENTS = {"tls_bad_server_certificate", "tls_bad_server_name", "tls_not_open"}


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def examples(language: str) -> list[tuple[str, int]]:
    return [(page, number) for page in PAGES for number in range(len(blocks(page, language)))]


@pytest.mark.parametrize(("page", "number"), examples("toml"))
def test_configuration(
    page: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "example.toml"
    file.write_text(blocks(page, "toml")[number])
    _issue_certificates(tmp_path)
    (tmp_path / "example.test.zone").write_text(ZONE)
    apply(Engine(1), load(file, load_roles(), state=tmp_path / "state"), bind=False)


def _issue_certificates(folder: Path) -> None:
    """The files that examples name."""
    authority = Authority(folder, "ca")
    authority.issue("site", ["shop.example"])
    authority.issue("site-rsa", ["shop.example"], key_type="rsa")
    authority.issue("us")


@pytest.mark.parametrize(("page", "number"), examples("python"))
def test_python(page: str, number: int) -> None:
    exec(compile(blocks(page, "python")[number], page, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / page).read_text())
    local = [target for target in targets if "://" not in target]
    missing = [target for target in local if not ((ROOT / page).parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("folder", ["concepts", "operations", "design"])
def test_each_page_is_in_the_contents(folder: str) -> None:
    contents = (ROOT / "docs/README.md").read_text()
    pages = [path.name for path in (ROOT / "docs" / folder).glob("*.md")]
    assert pages
    assert [name for name in pages if f"({folder}/{name})" not in contents] == []


def test_every_metric_is_described() -> None:
    pages = ("metrics.rs", "metrics/dns.rs", "metrics/traffic.rs")
    sources = [CRATES / "engine/src" / page for page in pages]
    sources.append(ROOT / "core/acme/exposition.py")
    text = "".join(source.read_text() for source in sources)
    families = set(re.findall(r'"(trunkline_\w+)"', text))
    described = set(re.findall(r"^\| `(trunkline_\w+)`", _page("metrics"), re.MULTILINE))
    assert families
    assert described == families


def declared() -> list[tuple[str, str]]:
    """Each reason of the sources with its status."""
    found = []
    for file, (pattern, (status, reason)) in REASONS.items():
        lines = list(re.finditer(pattern, (CRATES / file).read_text(), re.MULTILINE))
        assert lines, file
        found += [(line[reason], line[status]) for line in lines]
    return sorted(set(found))


@pytest.mark.parametrize(("reason", "status"), declared())
def test_every_reason_is_described_with_its_status(reason: str, status: str) -> None:
    expected = {OF_RESPONSES.get(reason, status)}
    row = re.compile(rf"^\|[^|]*`{reason}`[^|]*\| (\w+) \|", re.MULTILINE)
    described = set(row.findall(_page("failures")))
    assert described & (set(CUT) if expected == {"0"} else expected)


@pytest.mark.parametrize(("file", "pattern"), OF_CONNECTIONS.items())
def test_every_reason_of_a_connection_is_described(file: str, pattern: str) -> None:
    reasons = re.findall(pattern, (CRATES / file).read_text())
    assert reasons
    described = set(re.findall(r"`(\w+)`", _page("failures")))
    assert set(reasons) - described - NOT_OF_CLIENTS == set()


def _page(name: str) -> str:
    return (ROOT / f"docs/concepts/{name}.md").read_text()
