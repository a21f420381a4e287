"""The page that Prometheus scrapes: well-formed to the letter, and true."""

import re
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from testkit.gateway import Gateway
from testkit.ports import free_port
from testkit.upstream import Upstream, answer, response

HELP = re.compile(r"# HELP (trunkline_[a-z_]+) (\S.*\.)")
TYPE = re.compile(r"# TYPE (trunkline_[a-z_]+) (counter|gauge|histogram)")
SAMPLE = re.compile(r"(trunkline_[a-z_]+)(?:\{([^{}]*)\})? ([0-9.e+-]+)")
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"')
SUFFIXES = ("_bucket", "_sum", "_count")


@dataclass
class Family:
    """What stands under one HELP and TYPE: samples by name and labels, in their order."""

    kind: str
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)


def page(gateway: Gateway) -> tuple[str, str]:
    """Media type and text."""
    (state_file,) = (gateway.trunkline.directory / "state").glob("*.json")
    url = re.search(r'"url": ?"([^"]+)"', state_file.read_text())
    assert url
    with urllib.request.urlopen(f"{url[1]}/metrics", timeout=10) as answered:
        return answered.headers["content-type"], answered.read().decode()


def parse(text: str) -> dict[str, Family]:
    """By the letter of the text format 0.0.4: every line is one of three, in this order.

    Raises:
        AssertionError: For anything else, and for a family or series that comes twice.
    """
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    current, helped = "", ""
    for line in text[:-1].split("\n"):
        if match := HELP.fullmatch(line):
            helped = match[1]
        elif match := TYPE.fullmatch(line):
            current = match[1]
            assert current == helped, f"{current} has no HELP of its own"
            assert current not in families, f"{current} comes twice"
            families[current] = Family(match[2])
        else:
            _add_sample(current, families[current], line)
    return families


def _add_sample(name: str, family: Family, line: str) -> None:
    match = SAMPLE.fullmatch(line)
    assert match, line
    suffixes = SUFFIXES if family.kind == "histogram" else ("",)
    assert match[1] in {name + suffix for suffix in suffixes}, line
    labels = LABEL.findall(match[2] or "")
    assert ",".join(f'{key}="{value}"' for key, value in labels) == (match[2] or ""), line
    series = (match[1], tuple(labels))
    assert series not in family.samples, f"{line} comes twice"
    family.samples[series] = float(match[3])


def value(families: dict[str, Family], name: str, **labels: str) -> float:
    """Sum of the samples that have these labels."""
    samples = families[next(known for known in families if name.startswith(known))].samples
    return sum(
        found
        for (sample, pairs), found in samples.items()
        if sample == name and labels.items() <= dict(pairs).items()
    )


def traffic(gateway: Gateway) -> None:
    """2 good, 1 failing, 1 without a server, 3 refused of which 1 found no API."""
    bad = answer(response(b"bad", "500 Oops", "Connection: close"))
    good = answer(response(b"good", "200 OK", "Connection: close"))
    apis = {"key": 'path = "/key"\nfilters = [{ type = "api_key" }]', "it": 'path = "/it"'}
    with Upstream(good) as server:
        gateway.serve(apis, servers=[server.port])
        assert [gateway.ask("/it", method="POST", body="12345").status for _ in range(2)] == [
            200
        ] * 2
        server.script(bad)
        assert gateway.ask("/it").status == 500
        server.die()
        assert gateway.ask("/it").status == 502
    assert [gateway.ask(path).status for path in ("/key", "/key", "/none")] == [401, 401, 404]


def test_well_formed(gateway: Gateway) -> None:
    traffic(gateway)
    media_type, text = page(gateway)
    assert media_type == "text/plain; version=0.0.4; charset=utf-8"
    families = parse(text)
    assert len(families) > 15
    for name, family in families.items():
        assert name.endswith("_total") == (family.kind == "counter"), name
        assert all(found >= 0 for found in family.samples.values()), name


def test_histograms_add_up(gateway: Gateway) -> None:
    """Buckets never fall, the last one is the count, and their bounds rise."""
    traffic(gateway)
    histograms = [
        (name, family)
        for name, family in parse(page(gateway)[1]).items()
        if family.kind == "histogram"
    ]
    assert len(histograms) == 2
    for name, family in histograms:
        buckets: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        for (sample, labels), found in family.samples.items():
            if sample == f"{name}_bucket":
                bound = float(dict(labels)["le"])
                buckets.setdefault(labels[:-1], []).append((bound, found))
        for labels, rows in buckets.items():
            assert all(low < high for (low, _), (high, _) in pairwise(rows))
            assert all(low <= high for (_, low), (_, high) in pairwise(rows))
            assert rows[-1] == (float("inf"), family.samples[(f"{name}_count", labels)])
            assert (f"{name}_sum", labels) in family.samples


def test_it_says_what_happened(gateway: Gateway) -> None:
    traffic(gateway)
    families = parse(page(gateway)[1])
    it, key = gateway.api("it"), gateway.api("key")
    assert value(families, "trunkline_requests_total", listener=gateway.listener) == 7
    assert value(families, "trunkline_connections_total", listener=gateway.listener) == 7
    reasons = {"api_key_missing": 2, "route_not_found": 1, "connect_failed": 1}
    for reason, count in reasons.items():
        labels = {"listener": gateway.listener, "reason": reason}
        assert value(families, "trunkline_failures_total", **labels) == count
    classes = {(it, "2xx"): 2, (it, "5xx"): 2, (key, "4xx"): 2, (it, "4xx"): 0}
    for (route, group), count in classes.items():
        labels = {"route": route, "class": group}
        assert value(families, "trunkline_responses_total", **labels) == count
    assert value(families, "trunkline_request_duration_seconds_count", route=it) == 4
    assert value(families, "trunkline_request_body_bytes_total", route=it) == 10
    ours = len(b'{"error":"connect_failed","status":502}')
    bodies = value(families, "trunkline_response_body_bytes_total", route=it)
    assert bodies == 2 * len(b"good") + len(b"bad") + ours
    pool = gateway.pool
    assert value(families, "trunkline_server_responses_total", pool=pool) == 3
    assert value(families, "trunkline_server_connects_total", pool=pool) == 3
    assert value(families, "trunkline_server_connect_failures_total", pool=pool) >= 1
    assert value(families, "trunkline_server_active", pool=pool) == 0


def test_counters_outlive_a_reload(gateway: Gateway) -> None:
    """What is removed disappears, so series do not pile up."""
    traffic(gateway)
    before = parse(page(gateway)[1])
    gateway.change({"it": 'path = "/it"', "new": 'path = "/new"'})
    after = parse(page(gateway)[1])
    labels = {"route": gateway.api("it")}
    for name in ("trunkline_responses_total", "trunkline_request_duration_seconds_count"):
        assert value(after, name, **labels) == value(before, name, **labels) == 4
    routes = Counter(
        dict(pairs)["route"] for _, pairs in after["trunkline_request_body_bytes_total"].samples
    )
    assert routes.keys() == {"lb.front.default", gateway.api("it"), gateway.api("new")}


def test_labels_come_from_the_configuration_alone(gateway: Gateway) -> None:
    """Whatever clients invent makes no series; routes beyond 1 000 share one."""
    apis = {f"a{number}": f'path = "/{number}"' for number in range(1_010)}
    gateway.serve(apis)
    before = len(page(gateway)[1].splitlines())
    for number in (0, 1_005, 1_009):
        for invented in ("x", "y", 'z"{}'):
            assert gateway.ask(f"/{number}?q=1", f"X-Invented: {invented}").status == 200
    for number in range(20):
        gateway.ask(f"/invented/{number}", f"Host: h{number}", method=f"M{number}")
    text = page(gateway)[1]
    families = parse(text)
    assert value(families, "trunkline_responses_total", route="_other") == 6
    assert value(families, "trunkline_responses_total", route=gateway.api("a0")) == 3
    # Three new: route_not_found, and a class for two routes.
    assert len(text.splitlines()) - before <= 5
    assert "invented" not in text


def test_routes_of_one_name_make_no_series_twice(gateway: Gateway) -> None:
    """Names hold dots: two ways to write one name are one too many, and the file is refused."""
    config = '[lb.pools.p]\nservers = ["127.0.0.1:1"]\n'
    for listener, route in (("a", "b.c"), ("a.b", "c")):
        config += f'[lb.http."{listener}"]\nlisten = "127.0.0.1:{free_port()}"\n'
        config += f'routes = [{{ name = "{route}", path = "/x", pool = "p" }}]\n'
    gateway.serve({"it": ""})
    gateway.trunkline.write_config(config)
    status, answer = gateway.trunkline.reload()
    assert (status, "lb.a.b.c" in str(answer["errors"])) == (422, True)
    parse(page(gateway)[1])
