"""How fast a batch leaves: from pressing send to the last outcome committed, through the processes that `up` starts.

Each mail is rendered, signed with RSA-2048 and sent over SMTP. Sink, name server, databases and workers share the
machine; rounds of ours, with each number of processes, and of the peers follow one another in turn.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from django.core.management.base import CommandError

from mailpush.runtime.benchmarks import departures, scenarios
from mailpush.runtime.benchmarks.campaign import PLACES, Customer, customer, make_list, press_send
from mailpush.runtime.benchmarks.departures import Sent
from mailpush.runtime.benchmarks.measured import Measured
from mailpush.runtime.benchmarks.outside import world
from mailpush.runtime.benchmarks.peers.table import Rates
from mailpush.runtime.benchmarks.peers.table import measure as measure_peers
from mailpush.runtime.benchmarks.throwaway import free_ports
from recipients.models import RecipientList
from sending import expansion
from sending.models import Batch
from sending.tasks import PREPARED_BY


def needs(processes: str, **_options: Any) -> dict[str, str]:
    """Return the settings of a run."""
    return {"MAILPUSH_WORKERS": str(max(numbers(processes))), "MAILPUSH_MX_PORT": str(free_ports(1)[0])}


def numbers(text: str) -> list[int]:
    """Read numbers of processes, as in `1,2`.

    :raises CommandError: they are none.
    """
    found = [int(number) for number in text.split(",") if number.strip().isdecimal()]
    if len(found) != text.count(",") + 1 or min(found) < 1:
        raise CommandError(f"--processes takes numbers above 0, as in 1,2; not {text!r}.")
    return found


def run(
    recipients: int, processes: str, rounds: int, scenario: str, *, peers: bool | None, tracking: bool | None
) -> Measured:
    """Measure batches to servers that take everything and beside the peers, or one of the other scenarios.

    With `tracking` the first kind has tracked links and a pixel; the peers send the mail without.
    """
    if scenario == "plain":
        return _plain(recipients, processes, rounds, peers=peers, is_tracked=bool(tracking))
    most = max(numbers(processes))
    if scenario == "fair":
        return scenarios.fair(recipients, most, rounds)
    return {"smart": scenarios.smart, "trigger": scenarios.trigger}[scenario](recipients, most)


def _plain(recipients: int, processes: str, rounds: int, *, peers: bool | None, is_tracked: bool) -> Measured:
    """Measure batches to one list, the limit of the machine around each, and the peers."""
    sent: list[Sent] = []
    rates = Rates()
    most = max(numbers(processes))
    with world() as sink:
        sender = customer()
        readers = make_list(sender.account, recipients, name="readers")
        for _ in range(rounds):
            sent += [
                departures.measure(sender, readers, sink, processes=n, is_tracked=is_tracked)
                for n in numbers(processes)
            ]
            if peers is not False:
                measure_peers(sender, sink, rates, most=recipients, processes=most, fetch=bool(peers))
        expansion_seconds = _expand(sender, readers)
    measured = _summed_up([each for each in sent if each.processes == most], sent, rates, expansion_seconds, sink.name)
    if is_tracked:
        measured.notes.append("Each mail of ours is tracked: 22 links and a pixel. The peers' are not.")
    return measured


def _summed_up(most: list[Sent], sent: list[Sent], rates: Rates, expansion_seconds: float, sink: str) -> Measured:
    """Return medians of the rounds with most processes, and what each round was like."""
    recipients, per_second = most[0].recipients, median(each.per_second for each in most)
    found = {name: median(each) for name, each in rates.found.items()}
    return Measured(
        {
            "recipients": recipients,
            "messages_per_s": round(per_second, 1),
            "per_cpu_s": round(median(each.per_cpu_second for each in most), 1),
            "signing_limit_per_s": round(median(each.limit for each in most)),
            "share_of_signing_limit": round(median(each.share for each in most), 3),
            "peak_rss_mb": round(max(each.peak_rss_mb for each in sent), 1),
            "expand_rows_per_s": round(recipients / expansion_seconds),
            "first_mail_s": round(median(each.first_mail for each in most), 3),
            "peers": {name: round(rate, 1) for name, rate in found.items()},
        },
        [
            *map(_told, sent),
            f"{len(PLACES)} destinations; sink: {sink}. The list becomes messages by {PREPARED_BY} workers.",
            *(f"{per_second / rate:.1f} times {name}." for name, rate in found.items()),
            *(f"Not compared: {name} ({why})." for name, why in rates.absent.items()),
        ],
    )


def _expand(sender: Customer, recipients: RecipientList) -> float:
    """Order once more while nothing is delivered; return how long the list takes to become messages.

    As many threads prepare it as there would be workers.
    """
    batch = press_send(sender, recipients)
    begun = time.perf_counter()
    with ThreadPoolExecutor(PREPARED_BY) as workers:
        list(workers.map(expansion.expand, [batch.pk] * PREPARED_BY))
    seconds = time.perf_counter() - begun
    batch.refresh_from_db()
    if batch.status == Batch.Status.PREPARING:
        raise departures.Stuck("The batch was not prepared.")
    return seconds


def _told(sent: Sent) -> str:
    """Return one round as people read it."""
    return (
        f"{sent.processes} process{'es' if sent.processes > 1 else ''}: {sent.per_second:,.0f}/s, "
        f"{sent.share:.0%} of {sent.limit:,.0f} signatures/s; a mail costs {_us(sent.cpu.ours / sent.recipients)} of "
        f"ours, {_us(sent.cpu.databases / sent.recipients)} of the databases', "
        f"{_us(sent.cpu.sink / sent.recipients)} of the sink's; "
        f"first mail after {sent.first_mail:.2f} s, all prepared after {sent.prepared:.2f} s; "
        f"peak {sent.peak_rss_mb:.0f} MB (PSS {sent.pss_mb:.0f})."
    )


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"
