"""The usual Django way: one Celery task per mail, EmailMultiAlternatives, smtplib, and a row saved.

Spared what would slow it further: connections to the database are kept, texts are filled in by plain replacement,
keys are loaded once, and nobody looks up the destination. Signed with dkimpy, as people do, where that is installed,
or with `cryptography`, as people could.
"""

import smtplib
import time
from functools import lru_cache
from importlib.util import find_spec

from celery import shared_task
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from domains import signing
from domains.models import Domain
from mailpush.mail.dkim import Signer, from_pem
from mailpush.runtime.benchmarks.peers.peer import WITHIN, Job, Unable
from mailpush.runtime.benchmarks.processes import started, wait_for_workers
from mailpush.runtime.benchmarks.throwaway import HOST
from mailpush.runtime.parts import CELERY, Part
from sending.models import Message, Status

if HAS_DKIMPY := find_spec("dkim") is not None:
    import dkim

QUEUE = "peer"
OPTIONS = ("-Q", QUEUE, "-n", "peer@%h", "--loglevel", "WARNING")


@shared_task(name="peer.send_mail")
def send_mail(message_id: int, with_dkimpy: bool) -> None:  # noqa: FBT001 as Celery hands it on
    message = Message.objects.select_related("content__sender__domain").get(pk=message_id)
    with smtplib.SMTP(HOST, settings.MAILPUSH_MX_PORT) as server:
        server.sendmail(message.content.sender.address, [message.recipient], _finished(message, with_dkimpy))
    message.status = Status.DELIVERED
    message.finished_at = timezone.now()
    message.save()


def dkimpy(job: Job, mails: int) -> float:
    if not HAS_DKIMPY:
        raise Unable("dkimpy is not installed")
    return _send(job, mails, with_dkimpy=True)


def cryptography(job: Job, mails: int) -> float:
    return _send(job, mails, with_dkimpy=False)


def _send(job: Job, mails: int, *, with_dkimpy: bool) -> float:
    """Send messages there are with a prefork worker, as many processes as deliver ours."""
    ids = list(Message.objects.order_by("pk").values_list("pk", flat=True)[:mails])
    command = (*CELERY, "worker", "--include", __name__, "--pool", "prefork", *OPTIONS)
    with started([Part("peer", (*command, "--concurrency", str(job.processes)))]):
        wait_for_workers(["peer"])
        job.sink.expect()
        begun = time.perf_counter()
        for message_id in ids:
            send_mail.apply_async(args=(message_id, with_dkimpy), queue=QUEUE)
        job.sink.wait_for(len(ids), within=WITHIN)
        return time.perf_counter() - begun


def _finished(message: Message, with_dkimpy: bool) -> bytes:  # noqa: FBT001
    content, sender = message.content, message.content.sender
    subject, text, html = (_filled(part, message) for part in (content.subject, content.text, content.html))
    mail = EmailMultiAlternatives(subject, text, f"{content.sender_name} <{sender.address}>", [message.recipient])
    mail.attach_alternative(html, "text/html")
    octets = mail.message().as_bytes().replace(b"\n", b"\r\n")
    selector, pem = _key(sender.domain)
    if with_dkimpy:
        return bytes(dkim.sign(octets, selector.encode(), sender.domain.name.encode(), pem)) + octets
    headers, _, body = octets.partition(b"\r\n\r\n")
    signature = _signer(sender.domain.name, selector, pem).sign(headers + b"\r\n", body, now=int(time.time()))
    return signature + octets


@lru_cache
def _key(domain: Domain) -> tuple[str, bytes]:
    return signing.active_key(domain)


@lru_cache
def _signer(domain: str, selector: str, pem: bytes) -> Signer:
    return Signer(domain, selector, from_pem(pem))


def _filled(text: str, message: Message) -> str:
    for name, value in (message.variables or {}).items():
        text = text.replace(f"{{{name}}}", value)
    return text
