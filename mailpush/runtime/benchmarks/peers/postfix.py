"""Postfix with a milter that signs, fed by `smtp-source`: what people put behind an application on their own machine.

Milters are asked over Unix sockets (over TCP, Nagle's algorithm halves them), the logs are as short as Postfix makes
them.
"""

import os
import time
from pathlib import Path

from mailpush.runtime.benchmarks import own_postfix
from mailpush.runtime.benchmarks.peers.feeding import SESSIONS, WARM_UP, feed, program, server
from mailpush.runtime.benchmarks.peers.peer import Job
from mailpush.runtime.benchmarks.processes import wait_until

POSTFIX = """
myhostname = mx.peer.example
relayhost = [127.0.0.1]:{sink}
smtpd_milters = unix:{milter}
milter_default_action = tempfail
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
disable_dns_lookups = yes
in_flow_delay = 0
initial_destination_concurrency = {sessions}
default_destination_concurrency_limit = {sessions}
"""
OPENDKIM = """
Socket local:{socket}
UMask 000
Mode s
Domain {domain}
Selector {selector}
KeyFile {key}
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
InternalHosts 127.0.0.1
RequireSafeKeys no
Background no
Syslog no
"""
RSPAMD = """
options {{
  pidfile = "{folder}/rspamd.pid";
  tempdir = "{folder}";
  filters = "dkim";
  dns {{ nameserver = ["127.0.0.1"]; }}
  local_addrs = ["127.0.0.0/8"];
  cache_file = "{folder}/symbols.cache";
  hs_cache_dir = "{folder}";
}}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "error"; }}
metric {{ name = "default"; actions {{ reject = 150; }} }}
worker "rspamd_proxy" {{
  bind_socket = "{socket} mode=0666";
  milter = yes;
  timeout = 120s;
  count = {processes};
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
modules {{ path = "/usr/share/rspamd/plugins/dkim_signing.lua"; }}
dkim {{ }}
dkim_signing {{
  enabled = true;
  sign_local = true;
  allow_hdrfrom_mismatch = true;
  allow_username_mismatch = true;
  use_esld = false;
  try_fallback = false;
  domain {{ {domain} {{ path = "{key}"; selector = "{selector}"; }} }}
}}
"""


def with_opendkim(job: Job, mails: int) -> float:
    settings = job.folder / "opendkim.conf"
    socket, key = job.folder / "opendkim.sock", _key(job)
    settings.write_text(OPENDKIM.format(socket=socket, domain=job.domain, selector=job.selector, key=key))
    with server([program("opendkim"), "-f", "-x", str(settings)], job.folder, lambda: _wait_for(socket)):
        return _send(job, mails, socket)


def with_rspamd(job: Job, mails: int) -> float:
    """Have rspamd do nothing but sign."""
    settings, socket = job.folder / "rspamd.conf", job.folder / "rspamd.sock"
    settings.write_text(
        RSPAMD.format(
            folder=job.folder,
            socket=socket,
            processes=job.processes,
            domain=job.domain,
            selector=job.selector,
            key=_key(job),
        )
    )
    as_root = ("-i",) if os.geteuid() == 0 else ()  # it insists on being told
    with server([program("rspamd"), "-f", *as_root, "-c", str(settings)], job.folder, lambda: _wait_for(socket)):
        return _send(job, mails, socket)


def _send(job: Job, mails: int, milter: Path) -> float:
    settings = POSTFIX.format(sink=job.port, milter=milter, sessions=SESSIONS)
    with own_postfix.running(job.folder / "postfix", settings) as port:
        feed(job, port, WARM_UP)
        begun = time.perf_counter()
        feed(job, port, mails)
        return time.perf_counter() - begun


def _wait_for(socket: Path) -> None:
    wait_until(socket.is_socket, f"Nobody opened {socket.name}.")


def _key(job: Job) -> Path:
    path = job.folder / "dkim.pem"
    path.write_bytes(job.key)
    path.chmod(0o644)  # a key of this run only; servers read it as their own users
    return path
