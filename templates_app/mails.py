"""The mail that tells an author what the review decided."""

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from accounts.models import Role, User
from templates_app.models import Template


def tell_author(template: Template, *, reason: str) -> None:
    """Write to the author and the account's owners, each in their language."""
    people = set(User.objects.filter(memberships__account=template.account_id, memberships__role=Role.OWNER))
    if template.created_by:
        people.add(template.created_by)
    context = {
        "template": template,
        "reason": reason,
        "link": settings.MAILPUSH_PUBLIC_URL + reverse("templates_app:detail", args=[template.pk]),
    }
    for person in sorted(people, key=lambda each: each.pk):
        with translation.override(person.language or settings.LANGUAGE_CODE):
            subject = render_to_string("templates_app/mail/decision_subject.txt", context)
            body = render_to_string("templates_app/mail/decision.txt", context)
        EmailMessage(" ".join(subject.split()), body, to=[person.email]).send()
