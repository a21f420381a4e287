"""Where a server is known to read a forwarded request otherwise, or not to take it at all, and why.

Each line is a decision: what it says is harmless to whoever stands behind the proxy, because the
server refuses, drops or tidies what the others pass on, or it is the server's own fault.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from testkit.readings import Forwarded, Reading

Lines = list[tuple[str, str]]
Condition = Callable[[Forwarded], bool]
Change = Callable[[Forwarded], Forwarded | None]


@dataclass(frozen=True)
class Quirk:
    """A known disagreement.

    Attributes:
        origin: The server's name.
        reason: What it does, and why if it is not plain.
        applies: To which requests.
        change: The request → as if the server had got this one; None = its application never
            sees it.
    """

    origin: str
    reason: str
    applies: Condition
    change: Change


def expected(origin: str, request: Forwarded) -> Reading | None:
    """How this server should read this request; None if its application is not to see it."""
    seen: Forwarded | None = request
    for quirk in QUIRKS:
        if seen is not None and quirk.origin == origin and quirk.applies(request):
            seen = quirk.change(seen)
    return None if seen is None else seen.reading()


# --- conditions ---


def method(pattern: str) -> Condition:
    """The method matches."""
    return lambda request: bool(re.fullmatch(pattern, request.method))


def target(pattern: str) -> Condition:
    """A part of the target matches."""
    return lambda request: bool(re.search(pattern, request.target))


def host(pattern: str) -> Condition:
    """A part of Host matches."""
    return lambda request: bool(re.search(pattern, request.values("Host")[0]))


def name(pattern: str) -> Condition:
    """The name of a field matches."""
    return lambda request: any(re.fullmatch(pattern, found) for found, _ in request.fields)


def always(_: Forwarded) -> bool:
    """Any request."""
    return True


def post_without_a_length(request: Forwarded) -> bool:
    """A POST that says nothing of a body."""
    framing = request.values("Content-Length") + request.values("Transfer-Encoding")
    return request.method == "POST" and not framing


def is_harmless(line: tuple[str, str]) -> bool:
    """Folded, the name is none that the proxy writes, strikes out or frames by."""
    plain = re.sub("[^A-Za-z0-9]", "-", line[0]).lower()
    return plain == line[0].lower() or not re.fullmatch(MEANINGFUL, plain)


# --- changes ---


def refused(_: Forwarded) -> None:
    """It answers by itself, mostly with 400 or 501."""


def lines(change: Callable[[Lines], Lines]) -> Change:
    """Other fields, all else the same."""
    return lambda request: replace(request, fields=change(request.fields))


def without(pattern: str) -> Change:
    """Lines with such a name are dropped."""
    return lines(lambda found: [pair for pair in found if not re.fullmatch(pattern, pair[0])])


def with_values(found: Lines) -> Lines:
    """Without those that are empty."""
    return [pair for pair in found if pair[1]]


def named_in_letters_and_digits(found: Lines) -> Lines:
    """All else in a name becomes ``_``."""
    return [(re.sub("[^A-Za-z0-9]", "_", name), value) for name, value in found]


def with_one_cookie_line(found: Lines) -> Lines:
    """Joined as RFC 9113 §8.2.3 does."""
    cookies = [value for name, value in found if name.lower() == "cookie"]
    rest = [pair for pair in found if pair[0].lower() != "cookie"]
    return [*rest, ("Cookie", "; ".join(cookies))]


def with_tidy_host(found: Lines) -> Lines:
    """In lower case, without the default port and without the root's dot."""
    return [
        (name, re.sub(r"\.?(:80)?$", "", value.lower()) if name == "Host" else value)
        for name, value in found
    ]


# --- the table ---

# What IANA's registry of methods has, as far as the requests here use it; two more of llhttp.
REGISTERED = "GET|HEAD|POST|PUT|DELETE|OPTIONS|TRACE|PATCH|PROPFIND|QUERY"
KNOWN_TO_LLHTTP = f"{REGISTERED}|M-SEARCH|PURGE"
ODD_NAME = ".*[^A-Za-z0-9-].*"
MEANINGFUL = "(x-)?forwarded.*|x-real-ip|content-length|transfer-encoding|proxy.*|keep-alive"

QUIRKS = [
    Quirk("nginx", "refuses TRACE by policy (405)", method("TRACE"), refused),
    Quirk("nginx", "knows no target `*`", target(r"^\*$"), refused),
    Quirk("nginx", "takes A to Z, - and _ in methods only", method(".*[^A-Z_-].*"), refused),
    Quirk("apache2", "answers OPTIONS * by itself", target(r"^\*$"), refused),
    Quirk(
        "apache2", "drops what CGI would fold into other names", name(ODD_NAME), without(ODD_NAME)
    ),
    Quirk(
        "apache2", "drops Proxy: CGI makes it HTTP_PROXY", name("(?i)proxy"), without("(?i)proxy")
    ),
    Quirk("apache2", "refuses hosts that DNS has not", host(r"[^A-Za-z0-9.:\[\]_-]"), refused),
    Quirk("apache2", "refuses hosts of digits only", host(r"^\d+$"), refused),
    Quirk("apache2", "refuses port 0", host(r":0$"), refused),
    Quirk("apache2", "mod_proxy wants an escape behind %25", target("^/%25$"), refused),
    Quirk(
        "apache2",
        "mod_proxy is one of those that Max-Forwards counts",
        lambda request: request.values("Max-Forwards") == ["0"],
        refused,
    ),
    Quirk("lighttpd", "answers OPTIONS * by itself", target(r"^\*$"), refused),
    Quirk("lighttpd", "knows registered methods only", method(f"(?!({REGISTERED})$).*"), refused),
    Quirk("lighttpd", "wants a length of each POST (411)", post_without_a_length, refused),
    Quirk("lighttpd", "refuses hosts that DNS has not", host(r"[^A-Za-z0-9.:\[\]-]"), refused),
    Quirk("lighttpd", "refuses hosts of digits only", host(r"^\d+$"), refused),
    Quirk("lighttpd", "refuses ports that begin with 0", host(":0"), refused),
    Quirk("lighttpd", "refuses escaped control bytes", target("(?i)%[01][0-9a-f]|%7f"), refused),
    Quirk("lighttpd", "refuses escapes that are no UTF-8", target("(?i)%ff"), refused),
    Quirk("lighttpd", "tidies Host", always, lines(with_tidy_host)),
    Quirk("lighttpd", "drops lines without a value", always, lines(with_values)),
    Quirk(
        "lighttpd",
        "folds names as CGI may, into ones that mean nothing to a proxy",
        lambda request: all(map(is_harmless, request.fields)) and name(ODD_NAME)(request),
        lines(named_in_letters_and_digits),
    ),
    Quirk(
        "lighttpd", "joins Cookie by semicolons", name("(?i)cookie"), lines(with_one_cookie_line)
    ),
    Quirk(
        "lighttpd", "drops Proxy: CGI makes it HTTP_PROXY", name("(?i)proxy"), without("(?i)proxy")
    ),
    Quirk(
        "gunicorn", "drops what WSGI would fold into other names", name(".*_.*"), without(".*_.*")
    ),
    Quirk("gunicorn", "wants methods of 3 to 20 bytes", method("..?|.{21,}"), refused),
    Quirk("gunicorn", "takes no a to z in methods", method(".*[a-z].*"), refused),
    Quirk("aiohttp", "knows llhttp's methods only", method(f"(?!({KNOWN_TO_LLHTTP})$).*"), refused),
    Quirk("granian", "hyper takes no < > ` in a target", target("[<>`]"), refused),
    Quirk("granian", "hyper takes 100 lines", lambda request: len(request.fields) > 100, refused),
]
