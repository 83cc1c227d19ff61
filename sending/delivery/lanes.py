"""Lanes as this process works them: which chunks it holds, what is with the courier, how much more may go."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailpush.mail.mx import Route
from sending.delivery.claims import Claim
from sending.delivery.parcels import Composer, Parcel, QueuedMessage
from sending.delivery.sites import Limits

GROWTH = 2  # of the window, while what went out comes back …
ENOUGH = 8  # … and times what comes back between two hands: more gains nothing and would be unknown after a crash

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True, eq=False)
class Run:
    """A claimed chunk being worked: its messages, and how they are composed and routed."""

    claim: Claim
    rows: dict[int, QueuedMessage]
    composers: Mapping[int, Composer]
    routes: Mapping[str, Route]
    left: int  # messages that have not been put in flight
    out: set[int] = field(default_factory=set)  # those with the courier
    is_lost: bool = False

    @property
    def is_over(self) -> bool:
        return not (self.left or self.out)

    def parcel(self, message_id: int) -> Parcel | None:
        """Return the message as the courier takes it; None where it is finished, or nobody knows its servers."""
        row = self.rows.get(message_id)
        route = self.routes.get(row.domain) if row else None
        return Parcel(row, route, self.composers[row.content_id]) if row and route else None


@dataclass(slots=True, eq=False)
class Lane:
    """Stream × site in this process, and what it may do there until it asks again."""

    site: str
    limits: Limits
    runs: dict[int, Run] = field(default_factory=dict)  # by chunk
    out: dict[int, Run] = field(default_factory=dict)  # by message with the courier
    window: int = 0  # messages that may be with the courier: what a crash would leave unknown
    rate: int | None = None  # mails a minute
    allowance: int | None = None  # of them, what may go now; None: no limit
    resumes_at: datetime | None = None  # when the next one may
    asked_at: datetime = NEVER
    suspended_until: datetime | None = None
    has_more: bool = True  # the last claim took all there was room for
    idle_since: datetime | None = None

    @property
    def room(self) -> int:
        """Messages that may be handed out now."""
        if self.suspended_until or not self.limits.connections:
            return 0
        room = max(self.window - len(self.out), 0)
        return room if self.allowance is None else min(room, self.allowance)

    @property
    def is_idle(self) -> bool:
        return not (self.runs or self.out)

    @property
    def left(self) -> int:
        """Messages of claimed chunks that have not been put in flight."""
        return sum(run.left for run in self.runs.values())

    def spend(self, count: int) -> None:
        if self.allowance is not None:
            self.allowance = max(self.allowance - count, 0)

    def fit(self, settled: int, deferred: int, *, most: int) -> None:
        """Let the window follow what the site settles between two hands: no wider than it has use for.

        A site that only puts mails off (greylisting) gets a narrow one, so that they take little from the others.
        """
        if settled * GROWTH >= self.window:
            self.window *= GROWTH
        elif deferred > settled or 0 < settled * ENOUGH < self.window:
            self.window //= GROWTH
        self.window = max(min(self.window, most), self.limits.connections)
