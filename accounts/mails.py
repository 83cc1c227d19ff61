"""The mails accounts send for the platform; a subject and a text template each."""

from django.core.mail import EmailMessage
from django.template.loader import render_to_string


def send(name: str, to: str, **context: object) -> None:
    """Hand the mail `accounts/mail/<name>` to the platform's own account, in this transaction."""
    subject = render_to_string(f"accounts/mail/{name}_subject.txt", context)
    body = render_to_string(f"accounts/mail/{name}.txt", context)
    EmailMessage(" ".join(subject.split()), body, to=[to]).send()
