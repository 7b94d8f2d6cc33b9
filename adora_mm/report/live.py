"""`adora report RUN --live`: the page over HTTP, made anew from the run's files at each visit.

It listens on this machine alone unless told otherwise, answers GET of one page and nothing else,
and refuses requests that name another host, so that no web site can read it through a browser.
"""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def make_server(render: Callable[[], str], host: str, port: int) -> ThreadingHTTPServer:
    """A server of one page; port 0 takes a free one. `render` may raise ValueError or OSError."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if host in LOOPBACK and self._host_asked_for() not in LOOPBACK:
                self.send_error(403, "this page is for this machine")
                return
            if self.path not in ("/", "/index.html"):
                self.send_error(404)
                return
            try:
                content = render().encode("utf-8")
            except (ValueError, OSError) as error:
                self.send_error(503, " ".join(str(error).split()))
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def _host_asked_for(self) -> str:
            name = self.headers.get("Host", "")
            return name.rpartition(":")[0].strip("[]") if ":" in name else name

        def log_message(self, format: str, *args: object) -> None:
            """No line per visit."""

    return ThreadingHTTPServer((host, port), Page)
