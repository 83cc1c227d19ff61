"""The demo: an account that shows everything on the sandbox."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoLogins:
    """Who may log in, with passwords that are shown once."""

    customer: str
    customer_password: str
    reviewer: str
    reviewer_password: str


def create_demo() -> DemoLogins | None:
    """Create the demo where there is no account yet; None where it is there already.

    Called when everything runs.
    """
    return None
