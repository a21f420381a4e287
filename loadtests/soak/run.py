"""The one command: ``python loadtests/soak/run.py --minutes 20`` soaks trunkline and judges.

Mixed traffic through one trunkline, which is reloaded and upgraded meanwhile and whose servers die
and return. The summary goes to ``docs/results/soak.md``; the exit status is 1 unless memory and
descriptors stayed flat and nothing failed that was not made to fail.
"""

import argparse
import asyncio
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from loadtests.peers.machine import describe  # noqa: E402 - the path must be set first
from loadtests.soak.disturbances import Disturber  # noqa: E402
from loadtests.soak.kinds import KINDS  # noqa: E402
from loadtests.soak.ledger import Ledger  # noqa: E402
from loadtests.soak.program import Program  # noqa: E402
from loadtests.soak.servers import RunningServer  # noqa: E402
from loadtests.soak.site import Server, Site  # noqa: E402
from loadtests.soak.soaking import Soaking  # noqa: E402
from loadtests.soak.summary import Result, render  # noqa: E402
from loadtests.soak.traffic import Front, Kind  # noqa: E402
from testkit.certificates import Authority  # noqa: E402


def main() -> None:
    """Parse the command line, soak, write, judge."""
    options = _options()
    # As Ctrl-C does: everything that was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kinds = [kind for kind in KINDS if kind.name in options.kind]
    # A build that cannot upgrade is soaked without; the summary counts none.
    upgrades = options.upgrades if Program.can_upgrade() else 0
    facts = describe({"trunkline": Program.version()})
    with TemporaryDirectory() as scratch:
        result = uvloop.run(_soak(Path(scratch), kinds, options.minutes * 60, upgrades))
    page = render(facts, kinds, result)
    print(page)
    options.output.write_text(page)
    sys.exit(0 if result.passed(kinds) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [kind.name for kind in KINDS]
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--upgrades", type=int, default=5, help="all in the first half")
    parser.add_argument("--kind", nargs="+", choices=names, default=names, help="of traffic")
    output = ROOT / "docs" / "results" / "soak.md"
    parser.add_argument("--output", type=Path, default=output)
    return parser.parse_args()


async def _soak(directory: Path, kinds: list[Kind], seconds: float, upgrades: int) -> Result:
    with ExitStack() as stack:
        authority = Authority(directory) if any(kind.tls for kind in kinds) else None
        site = Site(
            certificate=authority.issue("soak", ["127.0.0.1"]) if authority else None,
            with_grpc=any(kind.name.startswith("grpc") for kind in kinds),
        )
        _start(stack, directory, site.immortal)
        mortal = _start(stack, directory, site.mortal)
        program = Program(directory, site.config(0))
        stack.callback(program.stop)
        front = Front(site.port, site.tls_port, authority, Ledger(), asyncio.Event())
        disturber = Disturber(program, site, front, mortal)
        soaking = Soaking(front, disturber, kinds, seconds, upgrades)
        await soaking.run()
        front.ledger.problems += program.crashes()
        return Result(front.ledger, soaking.samples)


def _start(stack: ExitStack, directory: Path, servers: tuple[Server, ...]) -> list[RunningServer]:
    running = []
    for server in servers:
        running.append(RunningServer(directory, server))
        stack.callback(running[-1].stop)
    return running


if __name__ == "__main__":
    main()
