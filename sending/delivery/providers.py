"""Putting what is shipped into the tables. Operators edit the rows; what they have edited stays until restored."""

from typing import Any

from sending.delivery.shipped import PROVIDERS, RULES, Shipped, ShippedRule


def ship(provider_model: Any, rule_model: Any) -> None:
    """Add what is missing; rows that are there stay as they are. A migration calls it with the models of its time."""
    for shipped in PROVIDERS:
        provider_model.objects.get_or_create(name=shipped.name, defaults=_provider_values(shipped))
    for position, rule in enumerate(RULES, 1):
        rule_model.objects.get_or_create(key=rule.key, defaults=_rule_values(rule, position, provider_model))


def restore(provider: Any, rule_model: Any) -> None:
    """Set a provider and its shipped rules back to what is shipped; operators' own rules stay.

    :raises KeyError: a provider of this name is not shipped.
    """
    values = _provider_values({shipped.name: shipped for shipped in PROVIDERS}[provider.name])
    for name, value in values.items():
        setattr(provider, name, value)
    provider.save()
    for position, rule in enumerate(RULES, 1):
        if rule.provider == provider.name:
            rule_model.objects.update_or_create(
                key=rule.key, defaults=_rule_values(rule, position, type(provider)) | {"enabled": True}
            )


def is_shipped(name: str) -> bool:
    return any(shipped.name == name for shipped in PROVIDERS)


def _provider_values(shipped: Shipped) -> dict[str, Any]:
    return shipped._asdict() | {"mx_patterns": list(shipped.mx_patterns), "enabled": True}


def _rule_values(rule: ShippedRule, position: int, provider_model: Any) -> dict[str, Any]:
    provider = provider_model.objects.get(name=rule.provider) if rule.provider else None
    values = {"provider": provider, "position": position}
    return values | {name: getattr(rule, name) for name in ("pattern", "action", "seconds", "reason")}
