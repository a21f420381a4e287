"""The `trunkline` command: reads arguments, and imports what a command needs when it runs.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no running trunkline found, 4 stopped with
requests cut off by the grace period, 5 no answer in time, 128 + N ended by a second signal N.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trunkline.core.role import Role

# Name and summary stand here too, so that `--help` needs none of the roles' imports.
ROLES = {
    "lb": "Run the load balancer of a configuration.",
    "gateway": "Run the API gateway of a configuration.",
    "dns": "Run the nameserver of a configuration.",
}

app = typer.Typer(
    help="The front door of an internet company: load balancing, an API gateway and DNS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
explain_app = typer.Typer(help="Say what would happen, and why.", no_args_is_help=True)
app.add_typer(explain_app, name="explain")

File = Annotated[
    Path, typer.Option("--config", "-c", help="The TOML file.", exists=True, dir_okay=False)
]
Running = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The file it runs with; not needed if only one runs."),
]
Json = Annotated[bool, typer.Option("--json", help="JSON in place of text.")]


def main() -> None:
    """Run the command line."""
    app(prog_name="trunkline")


def load_roles() -> "list[Role]":
    """All roles there are."""
    return [importlib.import_module(f"trunkline.{name}.server").ROLE for name in ROLES]


@app.command()
def up(config: File) -> None:
    """Run all roles of a configuration until SIGTERM."""
    _run(config, None)


def _add_role(name: str, summary: str) -> None:
    @app.command(name, help=summary)
    def run_role(config: File) -> None:
        _run(config, name)


for _name, _summary in ROLES.items():
    _add_role(_name, _summary)


def _run(config: Path, only: str | None) -> None:
    from trunkline.core.commands.run import run

    raise typer.Exit(run(config, load_roles(), only))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The TOML file.", exists=True, dir_okay=False)],
) -> None:
    """Print every error of a configuration as file:line: key: message."""
    from trunkline.core.commands import check as commands

    raise typer.Exit(commands.check(file, load_roles()))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from trunkline.core.commands import check as commands

    raise typer.Exit(commands.schema(load_roles()))


@app.command()
def reload(config: Running = None) -> None:
    """Make a running trunkline read its configuration again."""
    from trunkline.core.commands import remote

    raise typer.Exit(remote.reload(config))


@app.command()
def upgrade(
    config: Running = None,
    timeout: Annotated[
        float,
        typer.Option(help="Seconds that the new process may take to be ready.", min=0.1, max=3600),
    ] = 60,
) -> None:
    """Put a new process in the place of a running trunkline, without losing a connection."""
    from trunkline.core.commands import remote

    raise typer.Exit(remote.upgrade(config, timeout))


@app.command()
def status(config: Running = None, json: Json = False) -> None:
    """Show listeners, pools, servers, limits and breakers of a running trunkline."""
    from trunkline.core.commands import remote

    raise typer.Exit(remote.status(config, as_json=json))


@app.command()
def top(
    config: Running = None,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 1,
    once: Annotated[bool, typer.Option("--once", help="One table, then end.")] = False,
) -> None:
    """Show what a running trunkline does: rates, latencies, servers, last failures."""
    from trunkline.core.commands import top as commands

    raise typer.Exit(commands.top(config, interval_s=interval, once=once))


@explain_app.command("http")
def explain_http(
    method: Annotated[str, typer.Argument(help="GET, POST, …")],
    url: Annotated[str, typer.Argument(help="http://HOST/PATH?QUERY, or /PATH?QUERY.")],
    *,
    header: Annotated[list[str] | None, typer.Option("-H", "--header", help="Name: value")] = None,
    client: Annotated[str, typer.Option(help="The client's address.")] = "127.0.0.1",
    listener: Annotated[str | None, typer.Option(help="E.g. lb.http.front.")] = None,
    config: Running = None,
    offline: Annotated[bool, typer.Option("--offline", help="Read --config; ask nobody.")] = False,
    json: Json = False,
) -> None:
    """Which route and why, each filter's verdict, the server it would go to."""
    from trunkline.core.commands import remote

    method = method.upper()
    if not url.startswith(("/", "http://", "https://")) and (method, url) != ("OPTIONS", "*"):
        raise typer.BadParameter(f'"{url}" begins with neither http:// nor /')
    request: dict[str, object] = {"method": method, "url": url, "client": client}
    request["headers"] = [_header(line) for line in header or []]
    if listener is not None:
        request["listener"] = listener
    if not offline:
        raise typer.Exit(remote.explain(config, request, as_json=json))
    if config is None:
        raise typer.BadParameter("--offline needs --config")
    raise typer.Exit(remote.explain_offline(config, load_roles(), request, as_json=json))


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f'a header is "Name: value", not "{line}"')
    return name.strip(), value.strip()


@app.command()
def version(json: Json = False) -> None:
    """Print versions: trunkline, its native module and its build, Python, the kernel."""
    from trunkline.core.commands.version import build_info

    info = build_info()
    if json:
        import json as json_module

        typer.echo(json_module.dumps(info))
    else:
        typer.echo("\n".join(f"{name:<10} {value}" for name, value in info.items()))


@app.command()
def doctor(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Look at what this file needs.")
    ] = None,
    json: Json = False,
) -> None:
    """Say what on this host would stop or slow trunkline, why, and how to mend it."""
    from trunkline.core.commands import doctor as commands

    raise typer.Exit(commands.doctor(config, load_roles(), as_json=json))
