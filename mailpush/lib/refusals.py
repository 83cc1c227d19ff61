"""Refusals: what mailpush says no to, as every entrance translates it."""

from typing import ClassVar


class Refusal(Exception):
    """An expected "no" with a sentence for the customer.

    Entrances translate it: a message on the page, a REST 4xx, a DirectMail code, an SMTP 5xx.
    `code` is stable for programs; `field` names the input at fault where there is one.
    """

    code: ClassVar[str] = "refused"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = str(message)
        self.field = field
