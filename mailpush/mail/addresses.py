"""E-mail addresses and domain names: what is accepted, and the one way each is written.

The judge is email-validator, without its DNS look-ups. Lists of millions are almost wholly plain
ASCII, so that form is recognised by one expression first; it accepts nothing the library refuses.
"""

import re
from typing import NamedTuple

import email_validator
import idna
import tldextract
from email_validator.syntax import validate_email_domain_name

ADDRESS_LENGTH = 254  # RFC 5321 section 4.5.3.1.3: a path of 256 has two angle brackets
DOMAIN_LENGTH = 253  # RFC 1035 section 2.3.4, without the root's dot

# .test is for tests (RFC 6761 section 6.2), so the sandbox and trial installations use it.
_RESERVED = tuple(f".{name}" for name in email_validator.SPECIAL_USE_DOMAIN_NAMES if name != "test")

# "??--" marks encoded labels (RFC 5890 section 2.3.1): those go to the library.
_LABEL = r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?+"
_PLAIN_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?!..--)[a-z][a-z0-9-]{{0,61}}[a-z]", re.ASCII | re.IGNORECASE)
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]++"
_PLAIN_ADDRESS = re.compile(
    rf"(?=[^@]{{1,64}}@)({_ATOM}(?:\.{_ATOM})*+)@({_PLAIN_DOMAIN.pattern})", re.ASCII | re.IGNORECASE
)

# Only the list that comes with the package: no download, no cache folder.
_suffixes = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())


class BadAddress(ValueError):
    """The text is not an address that mail can be sent to; the message says why."""


class BadDomain(ValueError):
    """The text is not a domain name; the message says so."""


class Address(NamedTuple):
    """An address: the local part as its owner writes it, the domain as lower-case A-labels."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def key(self) -> str:
        """What two spellings of one mailbox share.

        RFC 5321 section 2.4 lets a server tell A from a; no known provider does, and a list with
        both would write to one person twice.
        """
        return f"{self.local}@{self.domain}".lower()

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only servers with SMTPUTF8 (RFC 6531) can take it."""
        return not self.local.isascii()


def parse(text: str) -> Address:
    """Return the address in `text`; white space around it is ignored.

    :raises BadAddress: it is none, or one that cannot get mail from outside.
    """
    plain = _PLAIN_ADDRESS.fullmatch(text)
    if plain and len(text) <= ADDRESS_LENGTH:
        local, domain = plain.groups()
        domain = domain.lower()
        if len(domain) <= DOMAIN_LENGTH and not domain.endswith(_RESERVED):
            return Address(local, domain)
    return _parse_thoroughly(text.strip())


def _parse_thoroughly(text: str) -> Address:
    if len(text) > ADDRESS_LENGTH:
        raise BadAddress(f"The address has more than {ADDRESS_LENGTH} characters.")
    try:
        found = email_validator.validate_email(text, check_deliverability=False, strict=True, test_environment=True)
    except email_validator.EmailNotValidError as error:
        raise BadAddress(str(error)) from error
    if found.ascii_domain is None or "." not in found.ascii_domain:
        raise BadAddress("The part after the @-sign is not valid. It should have a period.")
    # The library writes Postmaster and the like in lower case; we keep what the owner wrote.
    local = found.local_part if found.ascii_local_part is None else text.rpartition("@")[0]
    return Address(local, found.ascii_domain)


def to_ascii_domain(name: str) -> str:
    """Return the domain as lower-case A-labels (RFC 5891), the form for DNS and SMTP.

    :raises BadDomain: it is not a domain name under which mail can be addressed.
    """
    name = name.strip().removesuffix(".")
    try:
        found = validate_email_domain_name(name, test_environment=True)["ascii_domain"]
    except email_validator.EmailNotValidError as error:
        raise BadDomain(f"{name[:DOMAIN_LENGTH]} is not a domain name for mail.") from error
    if "." not in found:
        raise BadDomain(f"{name} is not a whole domain name: it needs an ending such as .com.")
    return found


def display_domain(name: str) -> str:
    """Return the domain as people read it, with U-labels; as it is where that cannot be."""
    try:
        return idna.decode(name)
    except idna.IDNAError:
        return name


def is_public_suffix(name: str) -> bool:
    """Return whether anybody can register names under this one, as under com or co.uk.

    Only registries count (the list's ICANN section). The names in its private section (github.io,
    blogspot.com) have an owner, who may send from them and proves so in DNS like everybody.
    Following the list's rules, an unknown top-level name is a suffix too.
    """
    name = name.lower().removesuffix(".")
    return "." not in name or _suffixes.extract_str(name).suffix == name


def registrable_domain(name: str, *, private: bool = False) -> str:
    """Return the part of a domain name that its owner registered; the name itself for a suffix.

    With `private`, names handed out under another owner's (x.github.io) are owners of their own.
    """
    name = name.lower().removesuffix(".")
    found = _suffixes.extract_str(name, include_psl_private_domains=private)
    if found.suffix:
        return found.top_domain_under_public_suffix or name
    return ".".join(name.split(".")[-2:])
