import asyncio

import uvloop


def pytest_asyncio_loop_factories(item):
    """Talk to servers in the event loop that the doors have."""
    return {"loop": uvloop.new_event_loop if item.path.name == "test_server.py" else asyncio.new_event_loop}
