"""The proxies under test, one file each, all told to do the same work."""

from loadtests.peers.subjects.base import Setup, Subject
from loadtests.peers.subjects.haproxy import Haproxy
from loadtests.peers.subjects.nginx import Nginx
from loadtests.peers.subjects.trunkline import Trunkline

SUBJECTS: dict[str, type[Subject]] = {
    "trunkline": Trunkline,
    "nginx": Nginx,
    "haproxy": Haproxy,
}

__all__ = ["SUBJECTS", "Setup", "Subject"]
