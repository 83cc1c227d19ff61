"""What became of every message: the platform's rows against the sink's books. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

FINAL = ("delivered", "bounced", "failed", "unknown")
WAITING = ("queued", "deferred")
CLOCKS_DIFFER = 2.0  # seconds between a signal and the death that the sink can see
RECORDED_WITHIN = 5.0  # seconds after a server's answer; more by far than it takes


@dataclass(frozen=True, slots=True)
class Kill:
    """What was killed, when (seconds since the epoch), and what was on the network then.

    `in_flight` are the messages handed out whose outcome was not recorded, as the queue had them just before and just
    after; None where the database could not be asked.
    """

    at: float
    victim: str
    in_flight: frozenset[int] | None = frozenset()
    connections: int = 0  # to the sink, open at that moment


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


@dataclass(frozen=True, slots=True)
class Case:
    """A message that crossed a kill: what the sink took of it, and the kill that explains it, numbered from 1."""

    message_id: int
    recipient: str
    status: str
    taken_at: tuple[float, ...]
    kill: int | None


@dataclass(slots=True)
class Proof:
    """The numbers, and everything that should not be."""

    numbers: dict[str, int]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cases: list["Case"] = field(default_factory=list)  # each duplicate, each message of unknown outcome

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
    """Name for each duplicate and each unknown the kill at which it was on the network."""
    doubtful = sorted(pk for pk, row in by_id.items() if row.status == "unknown" or len(seen.get(pk, ())) > 1)
    for pk in doubtful:
        times = tuple(sorted(mail.at for mail in seen.get(pk, ())))
        row = by_id[pk]
        proof.cases.append(Case(pk, row.recipient, row.status, times, _kill_of(pk, times, kills)))
    duplicates = [case for case in proof.cases if len(case.taken_at) > 1]
    unknown = [case for case in proof.cases if case.status == "unknown"]
    for what, cases in (("duplicates", duplicates), ("messages of unknown outcome", unknown)):
        for number, n in sorted(Counter(case.kill for case in cases if case.kill).items()):
            proof.notes.append(f"{n} {what}: in flight at kill {number} ({kills[number - 1].victim}).")
        unexplained = [case.message_id for case in cases if not case.kill]
        _say(proof.problems, len(unexplained), f"{what}, but on the network at no kill", unexplained)
    if unknown:
        arrived = sum(bool(case.taken_at) for case in unknown)
        proof.notes.append(f"Of {len(unknown)} messages of unknown outcome the sink had taken {arrived}.")
    in_flight, connections = sum(len(kill.in_flight or ()) for kill in kills), sum(kill.connections for kill in kills)
    proof.notes.append(
        f"At the {len(kills)} kills together, {in_flight} messages were on the network "
        f"and {connections} connections open."
    )
    if len(duplicates) > connections:
        proof.problems.append(f"{len(duplicates)} duplicates are more than the {connections} connections at the kills.")


def _kill_of(message_id: int, taken_at: tuple[float, ...], kills: list[Kill]) -> int | None:
    """Return the number of the kill that explains a message: it was on the network then.

    Of several copies, the kill came between one and the next, soon after the first. A single one had arrived, or was
    just arriving; where a dead worker had a message, it is taken for being on the network until its lease is over.
    """
    for number, kill in enumerate(kills, 1):
        if kill.in_flight is not None and message_id not in kill.in_flight:
            continue
        pairs = pairwise(taken_at)
        if any(first - CLOCKS_DIFFER <= kill.at <= min(again, first + RECORDED_WITHIN) for first, again in pairs):
            return number
        if len(taken_at) <= 1 and all(at - CLOCKS_DIFFER <= kill.at for at in taken_at):
            return number
    return None


def _say(problems: list[str], count: int, what: str, ids: list[int]) -> None:
    if count:
        some = f" ({', '.join(map(str, ids[:5]))}{'…' if len(ids) > 5 else ''})" if ids else ""  # noqa: PLR2004
        problems.append(f"{count} messages: {what}{some}.")
