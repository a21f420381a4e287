"""The patterns that texts of a configuration must match, each with the words that say so."""

# What can stand in a metric label, a URL of the admin API and a log without quotes.
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.:\[\]-]{0,99}$"
# RFC 9110 §5.6.2: token.
TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
HOST = r"^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])$"
# A host that is a name, without a final dot (RFC 6066 §3).
HOST_NAME = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
URL_PATH = r"^/[^\x00-\x20?#]*$"
URL_TARGET = r"^/[^\x00-\x20#]*$"
# Printable ASCII, spaces and tabs, bytes above: no line ends (RFC 9110 §5.5).
HEADER_VALUE = r"^[^\x00-\x08\x0a-\x1f\x7f]*$"
HASH_KEY = r"^(ip|path|uri|(header|query|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]+)$"
SPLIT_KEY = r"^(ip|(header|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]+)$"
MEDIA_TYPE = r"^([A-Za-z0-9!#$&^_.+-]+/(\*|[A-Za-z0-9!#$&^_.+-]+)|\*\+[A-Za-z0-9!#$&^_.+-]+)$"
LIMIT_KEY = r"^(ip|consumer|api|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+)$"

WORDS = {
    NAME: "must be a name of letters, digits and _ . : -",
    TOKEN: "must be an HTTP token (letters, digits and !#$%&'*+-.^_`|~)",
    HOST: 'must be a host without port such as "shop.example" or "*.shop.example"',
    HOST_NAME: 'must be a host name such as "app.internal"',
    URL_PATH: "must be a path that begins with / and has no space, ? or #",
    URL_TARGET: "must be a path with or without ?query that begins with / and has no space or #",
    HEADER_VALUE: "must be a header value on one line",
    HASH_KEY: "must be ip, path, uri, header:NAME, query:NAME or cookie:NAME",
    SPLIT_KEY: "must be ip, header:NAME or cookie:NAME",
    MEDIA_TYPE: "must be a media type such as text/html, text/* or *+json",
    LIMIT_KEY: "must be ip, consumer, api or header:NAME",
}
