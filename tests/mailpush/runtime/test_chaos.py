"""`chaos`: its proof on made-up rows, then a small run as a real process."""

import json
import subprocess
import sys

import pytest
from django.conf import settings

from mailpush.runtime.chaos.proof import Kill, Row, Taken, prove


def proved(rows, taken, *, promised=(), kills=(), counts=None):
    rows = [Row(*row) for row in rows]
    counted = {status: sum(row.status == status for row in rows) for status in {row.status for row in rows}}
    mails = [Taken(at, message_id, recipient) for at, message_id, recipient in taken]
    return prove(rows, mails, promised=promised, kills=list(kills), counts=counts or counted)


def test_everything_in_order():
    proof = proved(
        [(1, "a@x.example", "delivered"), (2, "b@x.example", "bounced"), (3, "c@x.example", "unknown")],
        [(5.0, 1, "a@x.example")],
        promised=[1, 2],
    )

    assert proof.holds
    assert proof.numbers == {
        "accepted": 3,
        "delivered": 1,
        "bounced": 1,
        "failed": 0,
        "unknown": 1,
        "waiting": 0,
        "lost": 0,
        "duplicates": 0,
        "kills": 0,
    }


@pytest.mark.parametrize(
    ("rows", "taken", "promised", "lost", "problem"),
    [
        ([(1, "a@x.example", "delivered")], [], [], 1, "never took"),
        ([(1, "a@x.example", "deferred")], [], [], 1, "no final state"),
        ([], [], [7], 1, "not stored"),
        ([(1, "a@x.example", "failed")], [(5.0, 1, "a@x.example")], [], 0, "called bounced or failed"),
        ([(1, "a@x.example", "delivered")], [(5.0, 1, "a@x.example"), (5.0, 1, "b@x.example")], [], 0, "unknown to"),
        ([(1, "a@x.example", "delivered")], [(5.0, 2, "a@x.example")], [], 1, "unknown to"),
        ([(1, "a@x.example", "suppressed")], [], [], 0, "do not add up"),
    ],
)
def test_what_should_not_be_is_said(rows, taken, promised, lost, problem):
    proof = proved(rows, taken, promised=promised)

    assert not proof.holds
    assert proof.numbers["lost"] == lost
    assert any(problem in line for line in proof.problems)


def test_counters_that_disagree_with_the_rows_are_said():
    proof = proved([(1, "a@x.example", "delivered")], [(5.0, None, "a@x.example")], counts={"delivered": 2})

    assert [line[:12] for line in proof.problems] == ["The counters"]


def test_a_duplicate_is_explained_by_the_kill_it_was_in_flight_at():
    kills = [Kill(10.0, "batch-1"), Kill(20.0, "postgres")]
    rows = [(1, "a@x.example", "delivered"), (2, "b@x.example", "delivered")]

    proof = proved(
        rows,
        [(19.5, 1, "a@x.example"), (30.0, 1, "a@x.example"), (40.0, 2, "b@x.example"), (41.0, 2, "b@x.example")],
        kills=kills,
    )

    assert proof.holds
    assert proof.numbers["duplicates"] == 2
    assert proof.notes == [
        "1 duplicates: NOT EXPLAINED by any kill.",
        "1 duplicates: in flight at kill 2 (postgres).",
    ]


@pytest.mark.timeout(400)
def test_nothing_is_lost_while_things_are_killed():
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "chaos", "--messages", "200", "--kills", "2"]

    run = subprocess.run([*command, "--json"], check=False, capture_output=True, text=True, timeout=380)

    numbers = json.loads(run.stdout.splitlines()[-1])
    assert run.returncode == 0, run.stdout + run.stderr
    assert set(numbers) == {
        *("accepted", "delivered", "bounced", "failed", "unknown"),
        *("waiting", "lost", "duplicates", "kills"),
    }
    assert numbers["accepted"] >= 200
    assert numbers["accepted"] == sum(numbers[key] for key in ("delivered", "bounced", "failed", "unknown", "waiting"))
    assert (numbers["waiting"], numbers["lost"], numbers["kills"]) == (0, 0, 2)
