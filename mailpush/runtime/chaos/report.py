"""The report of a run: each kill, and each message that crossed one. Pure."""

from datetime import UTC, datetime

from mailpush.runtime.chaos.proof import Case, Kill, Proof


def reported(proof: Proof, kills: list[Kill], *, seed: int) -> str:
    """Return the report as tab-separated tables."""
    lines = [f"seed\t{seed}", *(f"{key}\t{number}" for key, number in proof.numbers.items())]
    lines += ["", "kill\tat\tvictim\tmessages on the network\tconnections"]
    lines += [
        f"{number}\t{_time(kill.at)}\t{kill.victim}\t{_known(kill)}\t{kill.connections}"
        for number, kill in enumerate(kills, 1)
    ]
    lines += ["", "message\trecipient\twhat\tstatus\ton the network at kill\ttaken by the sink at"]
    lines += [_row(case) for case in proof.cases]
    lines += ["", *proof.notes, *(f"WRONG: {problem}" for problem in proof.problems)]
    return "\n".join(lines) + "\n"


def _known(kill: Kill) -> str:
    return "not known" if kill.in_flight is None else str(len(kill.in_flight))


def _row(case: Case) -> str:
    what = "duplicate" if len(case.taken_at) > 1 else "unknown"
    times = " ".join(map(_time, case.taken_at)) or "never"
    return f"{case.message_id}\t{case.recipient}\t{what}\t{case.status}\t{case.kill or 'none'}\t{times}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
