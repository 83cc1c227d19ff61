"""Doing in the sandbox's DNS what a domain's owner does at their DNS provider."""

from domains.models import Domain
from domains.services.domains import records_of
from mailpush.sandbox.world import World


def publish_domain(domain: Domain, world: World) -> int:
    """Publish all records of a domain in place of what stood there; return how many."""
    records = records_of(domain)
    for record in records:
        value = f"{record.priority} {record.value}." if record.priority is not None else record.value
        if record.type in {"MX", "CNAME"}:
            world.withdraw(record.host, record.type)
        for other in world.records(record.host):
            if other.value.startswith("v=spf1") and record.value.startswith("v=spf1"):
                world.withdraw(other.name, other.type, other.value)
        world.publish(record.host, record.type, f"{value}." if record.type == "CNAME" else value)
    return len(records)
