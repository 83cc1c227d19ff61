"""The peers, and one round of them."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from django.conf import settings

from domains import signing
from mailpush.runtime.benchmarks.campaign import Customer, finished_mail
from mailpush.runtime.benchmarks.outside import Sink
from mailpush.runtime.benchmarks.peers import celery_task_per_mail, haraka, post_office, postfix
from mailpush.runtime.benchmarks.peers.peer import Job, Peer, Unable, open_folder

PEERS = (
    Peer("Postfix + OpenDKIM", 6000, postfix.with_opendkim),
    Peer("Postfix + rspamd", 8000, postfix.with_rspamd),
    Peer("Haraka + DKIM", 8000, haraka.with_dkim, is_fetched=True),
    Peer("django-post_office, unsigned", 15_000, post_office.unsigned, is_fetched=True),
    Peer("Celery task per mail, dkimpy", 1500, celery_task_per_mail.dkimpy),
    Peer("Celery task per mail, cryptography", 3000, celery_task_per_mail.cryptography),
)


@dataclass(slots=True)
class Rates:
    """Mails per second of each peer, round by round, and why others are missing."""

    found: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def measure(sender: Customer, sink: Sink, rates: Rates, *, most: int, processes: int, fetch: bool) -> None:
    """Let each peer that can send once, at most so many mails.

    :param fetch: peers that come over the network take part, too.
    """
    for peer in PEERS:
        if peer.is_fetched and not fetch:
            rates.absent[peer.name] = "is fetched with --peers"
        if peer.name in rates.absent:
            continue
        mails = min(peer.mails, most)
        try:
            with open_folder() as folder:
                seconds = peer.send(_job(sender, sink, processes, folder), mails)
        except Unable as problem:
            rates.absent[peer.name] = str(problem)
        else:
            rates.found.setdefault(peer.name, []).append(mails / seconds)


def _job(sender: Customer, sink: Sink, processes: int, folder: Path) -> Job:
    domain, address = sender.batch_sender.domain, sender.batch_sender.address
    selector, key = signing.active_key(domain)
    make = partial(Job, finished_mail(address), domain.name, selector, key, address)
    return make(port=settings.MAILPUSH_MX_PORT, sink=sink, processes=processes, folder=folder)
