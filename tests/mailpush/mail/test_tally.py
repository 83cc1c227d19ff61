from mailpush.mail import tally
from mailpush.mail.tally import Tally


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_so_many_a_span_and_party():
    clock = Clock()
    counted = Tally(2, 60, clock=clock)

    assert [counted.add("a") for _ in range(3)] == [True, True, False]
    assert counted.add("b")
    assert (counted.is_spent("a"), counted.is_spent("b"), counted.is_spent("c")) == (True, False, False)

    clock.now += 59
    assert not counted.add("a")
    clock.now += 1
    assert counted.add("a")


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(tally, "MOST_KEYS", 3)
    counted = Tally(1, 60, clock=Clock())

    for key in "abcd":
        counted.add(key)

    assert counted.add("a")  # the longest known was forgotten
    assert not counted.add("d")
