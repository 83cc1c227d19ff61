"""Work of many connections done together."""

import asyncio

from django.db import DataError

from sending.smtp.grouping import Group


async def test_those_who_were_answered_together_come_again_together():
    sizes = []

    async def work(items):
        sizes.append(len(items))
        return items

    async def client(steps):
        await group.ask(1)
        for _ in range(steps):  # one has more to do before it comes again
            await asyncio.sleep(0)
        await group.ask(2)

    group = Group(work)
    await asyncio.gather(client(0), client(5))

    assert sizes == [2, 2]


async def test_a_refused_item_is_not_held_against_the_others():
    async def work(items):
        if "bad" in items:
            raise DataError
        return items

    group = Group(work)
    answers = await asyncio.gather(*(group.ask(item) for item in ("a", "bad", "b")), return_exceptions=True)

    assert [answers[0], answers[2]] == ["a", "b"]
    assert isinstance(answers[1], DataError)
