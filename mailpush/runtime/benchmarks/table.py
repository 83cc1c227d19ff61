"""The benchmarks by name, and how their results are shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mailpush.runtime.benchmarks import api, delivery, imports, submission
from mailpush.runtime.benchmarks.measured import Measured


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is run, the options it takes with their defaults, and settings that its processes must start with."""

    about: str
    run: Callable[..., Measured]
    options: Mapping[str, Any]
    needs: Callable[..., dict[str, str]] = field(default=lambda **_options: {})


BENCHMARKS = {
    "delivery": Benchmark(
        "a batch from its list to the last outcome",
        delivery.run,
        {
            "recipients": 20_000,
            "processes": "1,2",
            "rounds": 1,
            "scenario": ("plain", "smart", "fair", "trigger"),
            "peers": None,
            "tracking": None,
        },
        delivery.needs,
    ),
    "submission": Benchmark("messages accepted over SMTP", submission.run, {"messages": 20_000, "clients": 20}),
    "api": Benchmark(
        "calls answered by the APIs beside a bare view on the same server",
        api.run,
        {"requests": 4_000, "clients": 16},
    ),
    "import": Benchmark("a list file onto a list", lambda rows: Measured(imports.run(rows)), {"rows": 1_000_000}),
}


def shown(name: str, measured: Measured, conditions: Mapping[str, str]) -> str:
    """Return a result as people read it."""
    numbers = dict(measured.numbers)
    peers: dict[str, Any] = numbers.pop("peers", {})
    rows = [(key.replace("_per_s", " / s").replace("_", " "), value) for key, value in numbers.items()]
    rows += [(f"peer: {key}", value) for key, value in peers.items()]
    width = max(len(key) for key, _ in (*rows, *conditions.items()))
    lines = [f"{name}: {BENCHMARKS[name].about}", ""]
    lines += [f"  {key:<{width}}  {_number(value):>12}" for key, value in rows]
    lines += ["", *(f"  {key:<{width}}  {text}" for key, text in conditions.items())]
    lines += ["", *(f"  {note}" for note in measured.notes)] if measured.notes else []
    return "\n".join(lines)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)
