"""A web server with the MTA-STS policies of several domains."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class PolicyServer:
    """Serves `policies`, by domain, at https://mta-sts.<domain>/.well-known/mta-sts.txt; counts as `asked`."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.policies: dict[str, str] = {}
        self.asked = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def enforce(self, domain: str, *mx: str, mode: str = "enforce") -> None:
        lines = [f"mx: {pattern}\r\n" for pattern in mx]
        self.policies[domain] = f"version: STSv1\r\nmode: {mode}\r\n{''.join(lines)}max_age: 86400\r\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                policy = server.policies.get(self.headers["Host"].removeprefix("mta-sts."))
                self.send_response(200 if policy and self.path == "/.well-known/mta-sts.txt" else 404)
                self.send_header("Content-Type", "text/plain")
                self.end_headers()
                self.wfile.write((policy or "").encode())

            def log_message(self, *_args: object) -> None:
                pass

        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
