"""A page that is served on this machine only, and made anew when its run has gone on."""

from __future__ import annotations

import hashlib
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gaaf_gp.errors import GaafError
from gaaf_gp.experiments.report.page import MOST, Builder, policy
from gaaf_gp.experiments.run_data import Place, RunData, find_run, read_run
from gaaf_gp.trees.pset import PrimitiveSet

ADDRESS = "127.0.0.1"
REST = 4.0
"""A page is made anew after so many times the seconds that it took last: the run needs the processor more."""
LEAST_REST = 1.0
"""Seconds between two pages at least."""
MOST_WORDS = 300
"""Characters of a problem that the page tells."""


class LivePage:
    """The page of a run as it is now.

    Args:
        path: of the run's folder, or of an archive.
        key: of the run, see :func:`gaaf_gp.experiments.run_data.find_run`.
        pset: the set of its candidates, if it may be loaded.
        most: candidates that have a card.

    Raises:
        GaafError: there is no run yet, or it cannot be read.
    """

    def __init__(
        self, path: Path, key: str | None = None, pset: PrimitiveSet | None = None, *, most: int = MOST
    ) -> None:
        self._path, self._key, self._pset = path, key, pset
        self._place: Place = find_run(path, key)
        self._builder = Builder(most=most, live=True)
        self._lock = threading.Lock()
        self._next = 0.0
        self._state: object = None
        self._data: RunData | None = None
        self._made = "", ""
        self.current()

    def current(self) -> tuple[str, str]:
        """Return the page and its tag; another page has another tag.

        While a newer one cannot be made, such as in the moment in which a file is replaced, it is the one before, and
        says why.
        """
        with self._lock:  # figures are drawn by one thread at a time
            if time.monotonic() >= self._next and (state := self._files()) != self._state:
                begun = time.monotonic()
                self._made = self._page(state)
                self._state = state
                ended = time.monotonic()
                self._next = ended + max(LEAST_REST, REST * (ended - begun))
            return self._made

    def _page(self, state: object) -> tuple[str, str]:
        problem = ""
        try:
            self._place = find_run(self._path, self._key)
            self._data = read_run(self._place, self._pset, verify=self._data is None)
        except GaafError as error:
            if self._data is None:
                raise
            problem = str(error)[:MOST_WORDS]
        tag = hashlib.blake2b(repr((state, problem)).encode(), digest_size=12).hexdigest()
        return self._builder.build(self._data, tag=tag, problem=problem), tag

    def _files(self) -> object:
        """Return what changes when the run has gone on."""
        return [(file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None for file in self._place.files]


class PageServer(ThreadingHTTPServer):
    """Serves one page, on this machine only.

    Args:
        page: what is served.
        port: 0 for one that is free.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, page: LivePage, port: int = 0) -> None:
        self.page = page
        super().__init__((ADDRESS, port), _Handler)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{ADDRESS}:{self.server_port}/"

    @property
    def hosts(self) -> frozenset[str]:
        """Names by which a browser may call it: another one is of a stranger's page that points its name here."""
        return frozenset(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD of the page, and nothing else."""

    server: PageServer
    timeout = 60
    server_version, sys_version = "gaaf-gp", ""

    def do_GET(self) -> None:
        """Send the page, or say that it is the same."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Send the head of the page."""
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the terminal has the address."""

    def _answer(self, *, body: bool) -> None:
        if self.headers.get("Host", "") not in self.server.hosts:
            self._send(HTTPStatus.FORBIDDEN, "this page is served to its own address only", body=body)
        elif self.path.partition("?")[0] != "/":
            self._send(HTTPStatus.NOT_FOUND, "there is one page here: /", body=body)
        else:
            page, tag = self.server.page.current()
            known = self.headers.get("If-None-Match") == f'"{tag}"'
            status = HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK
            self._send(status, page, tag, body=body and not known)

    def _send(self, status: HTTPStatus, text: str, tag: str = "", *, body: bool) -> None:
        content = text.encode()
        self.send_response(status)
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", f"text/{'html' if tag else 'plain'}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
        if tag:
            self.send_header("ETag", f'"{tag}"')
        for name, value in (
            ("Content-Security-Policy", policy(live=True) + "; frame-ancestors 'none'"),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)
