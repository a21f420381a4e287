"""`top`: what a running trunkline does at the moment, again and again."""

import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from trunkline.core.admin.client import (
    NoAnswerError,
    NotRunningError,
    RefusedError,
    find_client,
)
from trunkline.core.commands import output
from trunkline.core.commands.top_rates import Look, Span
from trunkline.core.commands.top_tables import everything

_ROUTES_ONCE = 1_000
# Lines that the other tables need between their rows, and the fewest routes that make sense.
_FRAME_LINES = 12
_FEWEST_ROUTES = 3


def top(config: Path | None, *, interval_s: float, once: bool) -> int:
    """Show tables until Ctrl-C; one, after an interval, if that is asked for or for a pipe."""
    screen = output.console()
    try:
        first = _look(config)
        if once or not screen.is_terminal:
            time.sleep(interval_s)
            screen.print(everything(Span(first, _look(config)), routes=_ROUTES_ONCE))
        else:
            _watch(screen, config, first, interval_s)
    except NotRunningError as error:
        output.error(str(error))
        return output.NOT_RUNNING
    except NoAnswerError as error:
        output.error(str(error))
        return output.NO_ANSWER
    except RefusedError as error:
        output.error(str(error))
        return output.FAILED
    except KeyboardInterrupt:
        pass
    return output.OK


def _look(config: Path | None) -> Look:
    """Find it anew each time: another process may have taken over."""
    status = find_client(config).call("GET", "/status", timeout_s=10)
    return Look(time.monotonic(), status)


def _watch(screen: Console, config: Path | None, first: Look, interval_s: float) -> None:
    with Live(Text("…"), console=screen, screen=True, auto_refresh=False) as live:
        for shown in _spans(screen, config, first, interval_s):
            live.update(shown, refresh=True)


def _spans(
    screen: Console, config: Path | None, before: Look, interval_s: float
) -> Iterator[RenderableType]:
    while True:
        time.sleep(interval_s)
        try:
            after = _look(config)
        except (NotRunningError, NoAnswerError) as error:
            # It may be on its way back.
            yield Text(str(error), style="bold red")
            continue
        yield everything(Span(before, after), routes=_room(screen, after))
        before = after


def _room(screen: Console, look: Look) -> int:
    """How many routes fit below the other tables."""
    pools = look.status["pools"]
    rows = sum(len(pool["servers"]) + 2 for pool in pools) + len(look.status["listeners"])
    return max(_FEWEST_ROUTES, screen.height - rows - _FRAME_LINES)
