import uvloop


def pytest_asyncio_loop_factories():
    """Talk in the event loop that the doors and the couriers have."""
    return {"loop": uvloop.new_event_loop}
