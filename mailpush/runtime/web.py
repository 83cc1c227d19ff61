"""The web server: gunicorn with threads.

It was chosen for what DirectMail's SDKs send: HTML of 80 KB in the URL, which is 240 KB of Chinese once it is encoded
(servers built on hyper or httptools end a URL at 64 KB, uwsgi too), and bodies in chunks without a length.
"""

import json
import socket
import struct
from typing import Any
from uuid import uuid4

from gunicorn.app.base import BaseApplication
from gunicorn.http import RequestParser
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine
from gunicorn.http.message import Request
from gunicorn.workers.gthread import TConn, ThreadWorker

from mailpush.wsgi import application

WORKERS = 2
THREADS = 8  # per worker; each may hold a database connection
BACKLOG = 1024
KEPT_ALIVE = 15  # seconds
SILENCE = 30  # seconds between two pieces of a request; who is slower holds a thread for nothing
STOPS_WITHIN = 8  # seconds
LONGEST_REQUEST_LINE = 2**20  # gunicorn itself offers 8 KB, or no bound at all

# What no view has seen is answered as the APIs answer; pages do not meet these.
CODES = {
    LimitRequestLine: (414, "URI Too Long", "RequestUriTooLong", "The URL is longer than this server takes."),
    LimitRequestHeaders: (
        431,
        "Request Header Fields Too Large",
        "RequestHeadersTooLarge",
        "The headers are too large.",
    ),
}
MALFORMED = (400, "Bad Request", "InvalidRequest", "This is not an HTTP request that this server can read.")


class LongRequest(Request):  # type: ignore[misc]
    """A request whose URL may be long, but not endless.

    Read by gunicorn's parser in Python: the one in C comes as source alone, which not every machine can compile.
    """

    def parse(self, unreader: Any) -> Any:
        self.limit_request_line = LONGEST_REQUEST_LINE
        return super().parse(unreader)


RequestParser.mesg_class = LongRequest


class Worker(ThreadWorker):  # type: ignore[misc]
    """Threads that wait for nobody for ever, and say what is wrong with a request so that programs can read it."""

    def handle(self, conn: TConn) -> Any:
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE, 0))
        return super().handle(conn)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        if req is not None:  # the application's fault; it has answered or cannot any more
            super().handle_error(req, client, addr, exc)
            return
        status, reason, code, message = CODES.get(type(exc), MALFORMED)
        body = json.dumps({"RequestId": str(uuid4()).upper(), "HostId": "", "Code": code, "Message": message})
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json;charset=utf-8\r\n"
        answer = f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        self.log.debug("Not a request: %s", exc)
        try:
            client.sendall(answer.encode())
        except OSError:
            self.log.debug("The client has gone.")


class WebServer(BaseApplication):  # type: ignore[misc]
    """Serves on one address until told to stop."""

    def __init__(self, bind: str, *, workers: int) -> None:
        self._bind, self._workers = bind, workers
        super().__init__()

    def load_config(self) -> None:
        chosen = {
            "bind": self._bind,
            "workers": self._workers,
            "worker_class": f"{__name__}.{Worker.__name__}",
            "threads": THREADS,
            "backlog": BACKLOG,
            "keepalive": KEPT_ALIVE,
            "graceful_timeout": STOPS_WITHIN,
            "timeout": 60,
            "preload_app": True,
            "http_parser": "python",
            "limit_request_field_size": 64 * 1024,
            "proc_name": "mailpush run_web",
            "control_socket_disable": True,
            "loglevel": "warning",
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return application
