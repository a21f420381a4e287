"""`make load`: start the quick start, load it with Locust, judge, stop.

    python loadtests/locust/run.py [--host URL] [--ui] [--users N] [--seconds N] [-- LOCUST OPTIONS]

Without `--host` a quick start of its own runs on free ports for as long as the load does. With it
the load goes there, with SHOP_API_KEY and SHOP_BEARER_TOKEN from the environment. What stands after
`--` goes to Locust as it is (`-- --master --expect-workers 2`). The report is
loadtests/results/locust.html. Exit status 1: a request failed, something that must happen never
did, or the quick start did not stop cleanly.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
QUICKSTART = HERE.parents[1] / "examples" / "quickstart" / "run.py"
RESULTS = HERE.parent / "results"
# Longer than the quick start takes to drain and stop everything.
STOP_TIMEOUT_S = 60


@dataclass(frozen=True)
class Target:
    """What is loaded: its address and the credentials for it, as environment variables."""

    url: str
    environment: dict[str, str]


def main() -> int:
    """Run the load; the exit status."""
    options = parse_arguments()
    RESULTS.mkdir(exist_ok=True)
    target = nullcontext(Target(options.host, {})) if options.host else quick_start()
    with target as shop:
        command = [sys.executable, "-m", "locust", *locust_options(options, shop.url)]
        return subprocess.run(
            command, env={**os.environ, **shop.environment}, check=False
        ).returncode


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="Locust load over the quick start")
    parser.add_argument("--host", help="load this URL instead of a quick start of our own")
    parser.add_argument("--ui", action="store_true", help="Locust's web page instead of headless")
    parser.add_argument("--users", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("locust", nargs="*", help="further options for Locust, after --")
    return parser.parse_args()


def locust_options(options: argparse.Namespace, url: str) -> list[str]:
    """The command line for Locust."""
    common = ["--locustfile", str(HERE / "locustfile.py"), "--host", url, *options.locust]
    if options.ui:
        return [*common, "--web-host", "127.0.0.1"]
    # All users within three seconds: the rest of the time is load, not ramp.
    load = ["--users", str(options.users), "--spawn-rate", str(options.users / 3)]
    report = ["--only-summary", "--html", str(RESULTS / "locust.html")]
    return [*common, "--headless", "--run-time", f"{options.seconds}s", *load, *report]


@contextmanager
def quick_start() -> Iterator[Target]:
    """A quick start on free ports.

    Raises:
        RuntimeError: It did not start, or ended with an exit status other than 0.
    """
    command = [sys.executable, str(QUICKSTART), "--free-ports", "--json"]
    command += ["--directory", str(RESULTS / "quickstart")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        try:
            yield read_target(process)
        finally:
            process.terminate()
            status = process.wait(STOP_TIMEOUT_S)
        if status != 0:
            raise RuntimeError(f"the quick start ended with exit status {status}")


def read_target(process: subprocess.Popen[str]) -> Target:
    """Wait for the line that the quick start prints when it is ready."""
    assert process.stdout is not None  # we asked for a pipe
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("the quick start did not start")
    ready = json.loads(line)
    environment = {"SHOP_API_KEY": ready["api_key"], "SHOP_BEARER_TOKEN": ready["bearer_token"]}
    return Target(ready["front_url"], environment)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        sys.exit(str(error))
