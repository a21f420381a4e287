"""The nameserver's part of the plan."""

from trunkline.core.plan import PlanBuilder
from trunkline.core.role import Role
from trunkline.dns.config import DnsConfig


def add_to_plan(config: DnsConfig, builder: PlanBuilder) -> None:
    """Add the addresses and the zones."""
    told = {"identity": config.identity, "version": config.version}
    plan = {
        **{key: text for key, text in told.items() if text is not None},
        "connections": config.tcp_connections,
        "idle_ms": config.tcp_idle,
        "zones": [
            {"name": name, "file": str((builder.folder / zone.file).absolute())}
            for name, zone in config.zones.items()
        ],
    }
    zones = [("dns", "zones", name) for name in config.zones]
    builder.set_dns(plan, config.listen, ("dns",), zones)


ROLE = Role(
    name="dns",
    summary="Answer questions for zones with authority.",
    model=DnsConfig,
    references=(),
    add_to_plan=add_to_plan,
)
