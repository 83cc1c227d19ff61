"""What became of every message: the platform's rows against the sink's books. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FINAL = ("delivered", "bounced", "failed", "unknown")
WAITING = ("queued", "deferred")
CLOCKS_DIFFER = 2.0  # seconds between a signal and the death that the sink can see


@dataclass(frozen=True, slots=True)
class Kill:
    """What was killed, and when (seconds since the epoch)."""

    at: float
    victim: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that the sink answered with 250."""

    at: float
    message_id: int | None  # as its Message-ID says; None where a customer's program has written that
    recipient: str


@dataclass(frozen=True, slots=True)
class Row:
    """A message as the platform has it."""

    message_id: int
    recipient: str
    status: str


@dataclass(slots=True)
class Proof:
    """The numbers, and everything that should not be."""

    numbers: dict[str, int]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.problems


def prove(
    rows: Iterable[Row],
    taken: Iterable[Taken],
    *,
    promised: Iterable[int],
    kills: list[Kill],
    counts: Mapping[str, int],
) -> Proof:
    """Compare; no two messages of the run go to the same recipient.

    :param promised: ids that the submission door has answered 250 to.
    :param counts: messages by status, as the counters that are written along have it.
    """
    by_id = {row.message_id: row for row in rows}
    by_recipient = {row.recipient: row for row in by_id.values()}
    seen: dict[int, list[Taken]] = {}
    strangers = 0
    for mail in taken:
        row = by_recipient.get(mail.recipient)
        if row is None or mail.message_id not in {row.message_id, None}:
            strangers += 1
        else:
            seen.setdefault(row.message_id, []).append(mail)

    statuses = Counter(row.status for row in by_id.values())
    waiting = sum(statuses[status] for status in WAITING)
    never_arrived = [pk for pk, row in by_id.items() if row.status == "delivered" and pk not in seen]
    forgotten = [pk for pk in promised if pk not in by_id]
    proof = Proof(
        {
            "accepted": len(by_id),
            **{status: statuses[status] for status in FINAL},
            "waiting": waiting,
            "lost": len(never_arrived) + len(forgotten) + waiting,
            "duplicates": sum(len(mails) > 1 for mails in seen.values()),
            "kills": len(kills),
        }
    )
    misjudged = [pk for pk in seen if by_id[pk].status in {"bounced", "failed"}]
    _say(proof.problems, len(never_arrived), "called delivered, but the sink never took them", never_arrived)
    _say(proof.problems, len(forgotten), "answered 250 at the door, but not stored", forgotten)
    _say(proof.problems, waiting, "in no final state", [pk for pk, row in by_id.items() if row.status in WAITING])
    _say(proof.problems, len(misjudged), "taken by the sink, but called bounced or failed", misjudged)
    _say(proof.problems, strangers, "taken by the sink, but unknown to the platform", [])
    if sum(proof.numbers[status] for status in (*FINAL, "waiting")) != len(by_id):
        proof.problems.append(f"The sums do not add up: {dict(statuses)}.")
    if +Counter(counts) != +statuses:
        proof.problems.append(f"The counters say {dict(+Counter(counts))}, the rows {dict(statuses)}.")
    _explain(proof, seen, by_id, kills)
    return proof


def _explain(proof: Proof, seen: Mapping[int, list[Taken]], by_id: Mapping[int, Row], kills: list[Kill]) -> None:
    """Name for each duplicate the kill during which its first copy was in flight."""
    reasons: Counter[str] = Counter()
    for mails in seen.values():
        if len(mails) > 1:
            reasons[_reason(mails[0].at, mails[-1].at, kills)] += 1
    proof.notes += [f"{n} duplicates: {reason}." for reason, n in sorted(reasons.items())]
    unknown = [pk for pk, row in by_id.items() if row.status == "unknown"]
    if unknown:
        arrived = sum(pk in seen for pk in unknown)
        proof.notes.append(f"Of {len(unknown)} messages of unknown outcome the sink had taken {arrived}.")


def _reason(first: float, last: float, kills: list[Kill]) -> str:
    for number, kill in enumerate(kills, 1):
        if first - CLOCKS_DIFFER <= kill.at <= last:
            return f"in flight at kill {number} ({kill.victim})"
    return "NOT EXPLAINED by any kill"


def _say(problems: list[str], count: int, what: str, ids: list[int]) -> None:
    if count:
        some = f" ({', '.join(map(str, ids[:5]))}{'…' if len(ids) > 5 else ''})" if ids else ""  # noqa: PLR2004
        problems.append(f"{count} messages: {what}{some}.")
