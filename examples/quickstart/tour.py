"""The panel that the quick start prints: where it listens, and commands to try, in order.

Each step is a complete shell command, true to the run that printed it; tests/test_quickstart.py
runs every one of them.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from plan import Plan
from rich.console import Console
from rich.panel import Panel
from rich.table import Table


@dataclass(frozen=True)
class Step:
    """One thing to try: what it shows, and the shell command."""

    title: str
    command: str


def steps(plan: Plan) -> list[Step]:
    """Everything to try, in the order of the panel."""
    shop, admin = f"{plan.front_url}/shop", plan.admin_url
    order = """-H 'Content-Type: application/json' -d '{"product_id": 2, "quantity": 3}'"""
    admin_token = f"-H 'Authorization: Bearer {plan.admin_token}'"
    statuses = "-s -o /dev/null -w '%{http_code}\\n'"
    trunkline = relative(Path(sys.executable).with_name("trunkline"))
    config = f"--config {relative(plan.config_path)}"
    return [
        Step("Browse; X-Served-By says which service answered", f"curl -si {shop}/products"),
        Step("One product: the path parameter is passed on", f"curl -si {shop}/products/2"),
        Step("What the service sees of a request", f"curl -s {shop}/headers"),
        Step("Order without a key: 401", f"curl -si {order} {shop}/orders"),
        Step(
            "Order with the API key: 201",
            f"curl -si -H 'X-API-Key: {plan.api_key}' {order} {shop}/orders",
        ),
        Step(
            "The account, with a JSON Web Token",
            f"curl -si -H 'Authorization: Bearer {plan.bearer_token()}' {shop}/account",
        ),
        Step(
            "Six at once where five are allowed: 200 until 429",
            f"for i in 1 2 3 4 5 6; do curl {statuses} {shop}/deals; done",
        ),
        Step(
            "A failing service: 500 until the breaker opens, then its fallback",
            f"for i in 1 2 3 4 5 6 7; do curl {statuses} {shop}/recommendations; done",
        ),
        Step(
            "Which route, what each filter says, which server",
            f"{trunkline} explain http GET {shop}/products/2 --listener gateway.http.edge {config}",
        ),
        Step("Health of every server", f"{trunkline} status {config}"),
        Step("The same as JSON, from the admin API", f"curl -s {admin_token} {admin}/status"),
        Step("Prometheus metrics", f"curl -s {admin_token} {admin}/metrics"),
        Step("After you changed the configuration", f"{trunkline} reload {config}"),
    ]


def relative(path: Path) -> str:
    """The path as one would type it here."""
    return os.path.relpath(path)


def show_tour(plan: Plan, service_pids: dict[str, int], logs: Path) -> None:
    """Print a panel of what runs where, and under it the steps, each to be copied as it stands."""
    console = Console(highlight=False)
    console.print(Panel(_places(plan, service_pids, logs), title="trunkline quick start"))
    for step in steps(plan):
        console.print(f"\n# {step.title}", style="green", markup=False)
        console.print(step.command, soft_wrap=True, markup=False)
    console.print("\nKill a demo service and browse on. Ctrl-C drains and stops all.", style="bold")


def _places(plan: Plan, service_pids: dict[str, int], logs: Path) -> Table:
    places = Table.grid(padding=(0, 2))
    places.add_row("load balancer", plan.front_url)
    places.add_row("admin API", plan.admin_url)
    for address, pid in service_pids.items():
        places.add_row("demo service", f"http://{address}", f"process {pid}")
    places.add_row("configuration", relative(plan.config_path))
    places.add_row("logs", relative(logs))
    return places
