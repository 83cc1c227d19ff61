"""`chaos`: its proof on made-up rows, then a small run as a real process."""

import json
import subprocess
import sys

import pytest
from django.conf import settings

from mailpush.runtime.chaos.proof import Case, Kill, Row, Taken, prove
from mailpush.runtime.chaos.report import reported


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
        kills=[Kill(6.0, "batch-1", frozenset({3}), 1)],
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
        "kills": 1,
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


ROWS = [(1, "a@x.example", "delivered"), (2, "b@x.example", "delivered"), (3, "c@x.example", "unknown")]
TWICE = [(19.5, 1, "a@x.example"), (30.0, 1, "a@x.example")]


def test_duplicates_and_unknowns_are_explained_by_the_kill_they_were_in_flight_at():
    kills = [Kill(10.0, "batch-1", frozenset({3}), 5), Kill(20.0, "postgres", frozenset({1, 2}), 5)]

    proof = proved(ROWS, [*TWICE, (40.0, 2, "b@x.example"), (9.0, 3, "c@x.example")], kills=kills)

    assert proof.holds
    assert proof.numbers["duplicates"] == 1
    assert proof.cases == [
        Case(1, "a@x.example", "delivered", (19.5, 30.0), 2),
        Case(3, "c@x.example", "unknown", (9.0,), 1),
    ]
    assert proof.notes == [
        "1 duplicates: in flight at kill 2 (postgres).",
        "1 messages of unknown outcome: in flight at kill 1 (batch-1).",
        "Of 1 messages of unknown outcome the sink had taken 1.",
        "At the 2 kills together, 3 messages were on the network and 10 connections open.",
    ]


@pytest.mark.parametrize(
    ("rows", "taken", "kill", "problem"),
    [
        (ROWS[:1], TWICE, Kill(20.0, "beat", frozenset({2}), 5), "on the network at no kill (1)"),
        (ROWS[:1], TWICE, Kill(29.0, "batch-1", frozenset({1}), 5), "on the network at no kill (1)"),
        (ROWS[:1], TWICE, Kill(31.0, "batch-1", frozenset({1}), 5), "on the network at no kill (1)"),
        (ROWS[2:], [], Kill(20.0, "batch-1", frozenset({2}), 5), "on the network at no kill (3)"),
        (ROWS[2:], [(30.0, 3, "c@x.example")], Kill(20.0, "beat", frozenset({3}), 5), "on the network at no kill (3)"),
        (ROWS[:1], TWICE, Kill(20.0, "batch-1", frozenset({1}), 0), "more than the 0 connections"),
    ],
)
def test_what_no_kill_explains_is_said(rows, taken, kill, problem):
    proof = proved(rows, taken, kills=[kill])

    assert [problem in line for line in proof.problems] == [True]


def test_the_report_names_each_kill_and_each_case():
    kills = [Kill(20.0, "postgres", None, 7)]
    proof = proved(ROWS[:1], TWICE, kills=kills)

    lines = reported(proof, kills, seed=3).splitlines()

    assert lines[0] == "seed\t3"
    assert "1\t00:00:20.000\tpostgres\tnot known\t7" in lines
    assert "1\ta@x.example\tduplicate\tdelivered\t1\t00:00:19.500 00:00:30.000" in lines


@pytest.mark.timeout(400)
def test_nothing_is_lost_while_things_are_killed(tmp_path):
    report = tmp_path / "report.tsv"
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "chaos", "--messages", "200", "--kills", "2"]

    run = subprocess.run(
        [*command, "--report", report, "--json"], check=False, capture_output=True, text=True, timeout=380
    )

    numbers = json.loads(run.stdout.splitlines()[-1])
    assert run.returncode == 0, run.stdout + run.stderr
    assert set(numbers) == {
        *("accepted", "delivered", "bounced", "failed", "unknown"),
        *("waiting", "lost", "duplicates", "kills"),
    }
    assert numbers["accepted"] >= 200
    assert numbers["accepted"] == sum(numbers[key] for key in ("delivered", "bounced", "failed", "unknown", "waiting"))
    assert (numbers["waiting"], numbers["lost"], numbers["kills"]) == (0, 0, 2)
    assert f"lost\t0\nduplicates\t{numbers['duplicates']}\nkills\t2\n" in report.read_text()
