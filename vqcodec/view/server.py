"""The page's server. It answers on the loopback address, and only what `site` lists.

Pages of other origins, which a browser may show beside this one, can reach the address too:
they get no answer, as their requests name another host or say where they come from.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from vqcodec.view.site import Resource

ADDRESS = "127.0.0.1"
_HEADERS = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OWN_SITES = ("same-origin", "none")
"""What browsers say of requests that the page makes, and of addresses that people enter."""
_SECONDS = 30
"""How long a client may take to ask."""


class Server(ThreadingHTTPServer):
    """Answers requests for resources until it is shut down; see `resources` of `site`."""

    daemon_threads = True

    def __init__(self, resources: Mapping[str, Resource], port: int = 0) -> None:
        """Take a port, by default any that is free. Raises: OSError if it cannot be had."""
        super().__init__((ADDRESS, port), _Handler)
        self.resources = resources

    @property
    def origin(self) -> str:
        """The page's address, without a slash at the end."""
        return f"http://{ADDRESS}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away; print the traceback of any other error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_GET(self) -> None:
        """Answer with a resource."""
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        """Answer with what is said of a resource."""
        self._answer(has_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def version_string(self) -> str:
        """Return the name of the server, without versions."""
        return "vqcodec"

    def _answer(self, *, has_body: bool) -> None:
        if not self._is_own():
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        try:
            path = urlsplit(self.path).path
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        resource = self.server.resources.get(path)
        if resource is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            with _opened(resource.content) as stream, suppress(ConnectionError):
                self._send(stream, resource.type, has_body=has_body)
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _send(self, stream: IO[bytes], kind: str, *, has_body: bool) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(stream.seek(0, io.SEEK_END)))
        self.end_headers()
        stream.seek(0)
        if has_body:
            shutil.copyfileobj(stream, self.wfile)

    def _is_own(self) -> bool:
        """Tell whether a request is meant for this server and comes from its own page."""
        hosts = [f"{name}:{self.server.server_port}" for name in (ADDRESS, "localhost")]
        site = self.headers.get("Sec-Fetch-Site", "none")
        return self.headers.get("Host") in hosts and site in _OWN_SITES

    def end_headers(self) -> None:
        """Add what every answer has."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()


def _opened(content: bytes | Path) -> IO[bytes]:
    """Open what a resource has. Raises: OSError, also for what is no file."""
    if isinstance(content, bytes):
        return io.BytesIO(content)
    if not content.is_file():  # a pipe would be waited for
        raise FileNotFoundError(content)
    return content.open("rb")
