"""Postfix with a milter that signs, fed by `smtp-source`: what people put behind an application on their own machine.

An instance of its own below a temporary folder; the system's is not touched. Milters are asked over Unix sockets (over
TCP, Nagle's algorithm halves them), the logs are as short as Postfix makes them.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailpush.runtime.benchmarks.peers.feeding import SESSIONS, WARM_UP, feed, program, server
from mailpush.runtime.benchmarks.peers.peer import Job, Unable
from mailpush.runtime.benchmarks.processes import wait_for_port, wait_until
from mailpush.runtime.benchmarks.throwaway import HOST, free_ports

MAIN = """
compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.peer.example
mydestination =
alias_maps =
local_transport = error:no local mailboxes
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{sink}
smtpd_milters = unix:{milter}
milter_default_action = tempfail
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
disable_dns_lookups = yes
in_flow_delay = 0
initial_destination_concurrency = {sessions}
default_destination_concurrency_limit = {sessions}
"""
MASTER = """
{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
scache unix - - n - 1 scache
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
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
    with _postfix(job, milter) as port:
        feed(job, port, WARM_UP)
        begun = time.perf_counter()
        feed(job, port, mails)
        return time.perf_counter() - begun


@contextmanager
def _postfix(job: Job, milter: Path) -> Iterator[int]:
    """Have a Postfix that passes everything on to the sink; yield its port."""
    if os.geteuid():
        raise Unable("Postfix starts only as root")
    folder = job.folder / "postfix"
    for name in ("queue", "data"):
        (folder / name).mkdir(parents=True)
    shutil.chown(folder / "data", "postfix")
    (port,) = free_ports(1)
    (folder / "main.cf").write_text(MAIN.format(folder=folder, sink=job.port, milter=milter, sessions=SESSIONS))
    (folder / "master.cf").write_text(MASTER.format(port=f"{HOST}:{port}"))
    postfix = program("postfix")
    try:
        with server([postfix, "-c", str(folder), "start-fg"], folder, lambda: wait_for_port(port)):
            yield port
    finally:
        subprocess.run([postfix, "-c", str(folder), "stop"], check=False, capture_output=True)  # noqa: S603


def _wait_for(socket: Path) -> None:
    wait_until(socket.is_socket, f"Nobody opened {socket.name}.")


def _key(job: Job) -> Path:
    path = job.folder / "dkim.pem"
    path.write_bytes(job.key)
    path.chmod(0o644)  # a key of this run only; servers read it as their own users
    return path
