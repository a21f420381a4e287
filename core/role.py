"""What makes a role: its table of the configuration, and its part of the plan."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trunkline.core.config.models import Model
from trunkline.core.config.references import Reference
from trunkline.core.plan import PlanBuilder


@dataclass(frozen=True)
class Role:
    """One of trunkline's jobs.

    Attributes:
        name: Its table in the file and its command, e.g. `lb`.
        summary: What it does, for `--help`.
        model: The table's model.
        references: Its keys that name something else of the same table.
        add_to_plan: Adds the listeners, pools and consumers of such a table to the plan.
    """

    name: str
    summary: str
    model: type[Model]
    references: tuple[Reference, ...]
    add_to_plan: Callable[[Any, PlanBuilder], None]
