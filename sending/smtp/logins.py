"""Who may come in at the submission door: sender addresses, or whole domains, by an SMTP password.

Failures are counted in the cache that all processes share, by login and by network; whoever fails often waits, then
is locked out for a while. A login that worked from a network is not locked there by what strangers try elsewhere.
"""

import logging
from dataclasses import dataclass

from django.core.cache import cache
from redis.exceptions import RedisError

from accounts.services import ip_protection
from mailpush.mail.addresses import BadAddress, BadDomain, parse, to_ascii_domain
from mailpush.mail.door import Session
from mailpush.mail.replies import Reply
from senders.models import Sender
from senders.services import senders

log = logging.getLogger(__name__)

FAILURES = 10  # wrong passwords of one login, or from one network …
FORGOTTEN_AFTER = 15 * 60  # … within these seconds
KNOWN_FOR = 24 * 3600  # seconds a network stays one from which a login has worked
SLOWEST = 5.0  # seconds that a wrong password waits for its answer

LOCKED = Reply(454, "4.7.0 Too many wrong passwords; try again in a quarter of an hour")
WRONG = Reply(535, "5.7.8 Wrong user name or password: use a sender address and the SMTP password set for it")

# DirectMail's numbers, for accounts whose programs look for them; by our code and enhanced code.
DIRECTMAIL_CODES = {
    "553 5.7.1": 436,  # MAIL FROM or From is not the login's
    "452 4.7.1": 552,  # quota
    "552 5.3.4": 557,  # too large
    "452 4.5.3": 556,  # too many recipients
    "553 5.1.3": 559,  # no address
    "550 5.1.1": 559,  # on the platform's list
    "550 5.7.1": 563,  # on the account's suppression list
}


@dataclass(frozen=True, slots=True)
class Login:
    """Who is logged in, as found at the login; `sender` is the domain's own for a whole domain."""

    sender: Sender
    password_hash: str

    @property
    def is_domain(self) -> bool:
        return self.sender.is_domain_login

    @property
    def whose(self) -> str:
        """What this login may write as From, for people."""
        return f"an address at {self.sender.domain.name}" if self.is_domain else self.sender.address

    def covers(self, address: str) -> bool:
        """Return whether mail may come from the address (in lower case)."""
        if self.is_domain:
            return address.rpartition("@")[2] == self.sender.domain.name
        return address == self.sender.address


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a login: the refusal if there is one, and how long to wait before saying so."""

    refusal: Reply | None = None
    seconds: float = 0.0


def log_in(session: Session, user: str, password: str) -> Attempt:
    """Check name and password; the session knows its account afterwards."""
    name = _well_formed(user)
    if _is_locked(name, session.network):
        return Attempt(LOCKED)
    sender = _sender(name)
    if sender is None or not senders.check_smtp_password(sender, password):
        return Attempt(WRONG, seconds=min(0.5 * _count_failure(name, session.network), SLOWEST))
    if not sender.is_usable:
        return Attempt(Reply(535, f"5.7.8 {sender} may not send at present; see its page in the console"))
    try:
        ip_protection.must_be_allowed(sender.account, session.peer)
    except ip_protection.AddressNotAllowed as refusal:
        return Attempt(Reply(535, f"5.7.8 {refusal.message}"))
    _remember(name, session.network)
    session.account = Login(sender, sender.smtp_password_hash)
    session.codes = DIRECTMAIL_CODES if sender.account.directmail_replies else {}
    return Attempt()


def _well_formed(user: str) -> str:
    """Return the one spelling of a login: an address, or a domain."""
    try:
        return parse(user).key if "@" in user else to_ascii_domain(user)
    except (BadAddress, BadDomain):
        return user.lower()


def _sender(name: str) -> Sender | None:
    address = name if "@" in name else f"{Sender.DOMAIN_LOGIN}@{name}"
    found = Sender.objects.filter(address=address, deleted_at=None).exclude(smtp_password_hash="")
    # Two accounts may hold one domain one after the other: only one of them has it verified.
    rows = sorted(found.select_related("domain", "account"), key=lambda sender: not sender.domain.may_send)
    return rows[0] if rows else None


# What the processes share


def _is_locked(name: str, network: str) -> bool:
    by_name, by_network, known = _keys(name, network)
    try:
        found = cache.get_many([by_name, by_network, known])
    except RedisError:
        log.warning("The cache does not answer; logins are not locked meanwhile")
        return False
    is_locked = int(found.get(by_name, 0)) >= FAILURES and known not in found
    return is_locked or int(found.get(by_network, 0)) >= FAILURES


def _count_failure(name: str, network: str) -> int:
    """Return how many there have been lately, by login or network, whichever is more."""
    try:
        counts = []
        for key in _keys(name, network)[:2]:
            cache.add(key, 0, timeout=FORGOTTEN_AFTER)
            counts.append(cache.incr(key))
        return max(counts)
    except (RedisError, ValueError):  # ValueError: it ran out just now
        return 1


def _remember(name: str, network: str) -> None:
    try:
        cache.set(_keys(name, network)[2], 1, timeout=KNOWN_FOR)
    except RedisError:
        log.warning("The cache does not answer; a login is not remembered")


def _keys(name: str, network: str) -> tuple[str, str, str]:
    return f"smtp-failures:{name}", f"smtp-failures:{network}", f"smtp-login:{name}:{network}"
