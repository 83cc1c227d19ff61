"""The usual Django way, to compare with: one Celery task per mail, EmailMultiAlternatives, smtplib, and a row saved.

Spared what would slow it further: connections to the database are kept, texts are filled in by plain replacement,
and nobody looks up the destination. dkimpy signs where it is installed.
"""

import smtplib
import time
from importlib.util import find_spec

from celery import shared_task
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from domains import signing
from mailpush.runtime.benchmarks.processes import POLL, started, wait_for_workers
from mailpush.runtime.benchmarks.throwaway import HOST
from mailpush.runtime.parts import CELERY, Part
from sending.models import Message, Status

HAS_DKIMPY = find_spec("dkim") is not None
if HAS_DKIMPY:
    import dkim

NAME = f"celery task per mail ({'dkimpy' if HAS_DKIMPY else 'unsigned'}, smtplib)"
QUEUE = "peer"
OPTIONS = ("--concurrency", str(settings.MAILPUSH_WORKERS), "-Q", QUEUE, "-n", "peer@%h", "--loglevel", "WARNING")


@shared_task(name="peer.send_mail")
def send_mail(message_id: int) -> None:
    message = Message.objects.select_related("content__sender__domain").get(pk=message_id)
    with smtplib.SMTP(HOST, settings.MAILPUSH_MX_PORT) as server:
        server.sendmail(message.content.sender.address, [message.recipient], _finished(message))
    message.status = Status.DELIVERED
    message.finished_at = timezone.now()
    message.save()


def measure(message_ids: list[int], *, timeout: float = 300) -> float:
    """Send messages with a prefork worker, as many processes as deliver ours; return mails per second."""
    worker = Part("peer", (*CELERY, "worker", "--include", __name__, "--pool", "prefork", *OPTIONS))
    with started([worker]):
        wait_for_workers(["peer"])
        begun = time.perf_counter()
        for message_id in message_ids:
            send_mail.apply_async(args=(message_id,), queue=QUEUE)
        waiting = Message.objects.filter(pk__in=message_ids).exclude(status=Status.DELIVERED)
        while left := waiting.count():
            if time.perf_counter() - begun > timeout:
                raise TimeoutError(f"{left} of {len(message_ids)} mails of the peer were not sent.")
            time.sleep(POLL)
        return len(message_ids) / (time.perf_counter() - begun)


def _finished(message: Message) -> bytes:
    content, sender = message.content, message.content.sender
    subject, text, html = (_filled(part, message) for part in (content.subject, content.text, content.html))
    mail = EmailMultiAlternatives(subject, text, f"{content.sender_name} <{sender.address}>", [message.recipient])
    mail.attach_alternative(html, "text/html")
    octets = mail.message().as_bytes().replace(b"\n", b"\r\n")
    if not HAS_DKIMPY:
        return octets
    selector, key = signing.active_key(sender.domain)
    return bytes(dkim.sign(octets, selector.encode(), sender.domain.name.encode(), key)) + octets


def _filled(text: str, message: Message) -> str:
    for name, value in (message.variables or {}).items():
        text = text.replace(f"{{{name}}}", value)
    return text
