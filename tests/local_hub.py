"""A dataset hub on this machine, in the real one's layout, that misbehaves on request.

It answers what `huggingface_hub` asks: a revision's commit, sizes and hashes of paths, and files
with ranges. Big files are redirected to a second host name, as the real hub does with its CDN.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Request:
    method: str
    path: str
    range: str | None
    token: str | None
    host: str


@dataclass
class LocalHub:
    """Repositories by name, each with files by path at one commit."""

    files: dict[str, dict[str, bytes]]
    commit: str = "a" * 40
    api: bool = True
    """Whether the API is there, or only the files, as with a plain mirror."""
    git_files: set[str] = field(default_factory=set)
    """Paths whose published hash is git's, not SHA-256."""
    token: str | None = None
    """If set, requests without it are refused."""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """Faults of the next answers for a path: 429, 503, 404, drop:N, wrong, slow, whole, 416."""
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def asked(self, path: str, method: str = "GET") -> list[Request]:
        """The requests for a file so far, those to the CDN alone."""
        return [r for r in self.requests if r.method == method and r.path == f"/cdn/{path}"]

    @contextmanager
    def running(self) -> Iterator[LocalHub]:
        hub = self

        class Handler(_Handler):
            hub = self

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that was killed

        server = Server(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield hub
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        path = unquote(urlsplit(self.path).path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        host = str(self.headers.get("Host")).split(":")[0]
        self.hub.requests.append(
            Request(self.command, path, self.headers.get("Range"), token, host)
        )
        if path.startswith("/cdn/"):
            self._serve(path.removeprefix("/cdn/"))
        elif self.hub.token is not None and token != self.hub.token:
            self._error(401, "no token")
        elif path.startswith("/api/datasets/"):
            self._api(path.removeprefix("/api/datasets/"), body)
        elif path.startswith("/datasets/"):
            self._resolve(path.removeprefix("/datasets/"))
        else:
            self._error(404)

    def _api(self, path: str, body: str) -> None:
        owner, name, kind, revision = path.split("/", 3)
        files = self.hub.files.get(f"{owner}/{name}")
        if not self.hub.api:
            self._error(404)
        elif faults := self.hub.faults.get("api"):
            self._error(int(faults.pop(0)))
        elif files is None:
            self._error(404, code="RepoNotFound")
        elif revision not in ("main", self.hub.commit):
            self._error(404, code="RevisionNotFound")
        elif kind == "revision":
            self._json({"id": f"{owner}/{name}", "sha": self.hub.commit, "private": False})
        else:
            asked = parse_qs(body)["paths"]
            self._json([self._info(path, files[path]) for path in asked if path in files])

    def _info(self, path: str, data: bytes) -> dict[str, Any]:
        info: dict[str, Any] = {"type": "file", "path": path, "size": len(data)}
        info["oid"] = git_sha1(data)
        if path not in self.hub.git_files:
            sha256 = hashlib.sha256(data).hexdigest()
            info["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": 134}
        return info

    def _resolve(self, path: str) -> None:
        owner, name, _, revision, file = path.split("/", 4)
        data = self.hub.files.get(f"{owner}/{name}", {}).get(file)
        if data is None or revision not in ("main", self.hub.commit):
            self._error(404, code="EntryNotFound")
            return
        is_git = file in self.hub.git_files
        etag = git_sha1(data) if is_git else hashlib.sha256(data).hexdigest()
        port = self.hub.url.rsplit(":", 1)[1]
        self.send_response(302)
        self.send_header("X-Repo-Commit", self.hub.commit)
        self.send_header("X-Linked-Etag", f'"{etag}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("Location", f"http://localhost:{port}/cdn/{file}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _serve(self, file: str) -> None:
        data = next((f[file] for f in self.hub.files.values() if file in f), None)
        faults = self.hub.faults.get(file, [])
        fault = faults.pop(0) if faults else ""
        if data is None:
            self._error(404)
        elif fault in ("404", "403", "416", "429", "500", "503"):
            self._error(int(fault))
        else:
            self._bytes(data, fault)

    def _bytes(self, data: bytes, fault: str) -> None:
        first = 0
        wish = self.headers.get("Range")
        if wish and fault != "whole":
            first = int(wish.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        sent = data[first:]
        if fault == "wrong":
            sent = bytes(byte ^ 1 for byte in sent)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if self.command == "HEAD":
            return
        kind, _, count = fault.partition(":")
        if kind == "drop":
            self.wfile.write(sent[: int(count)])
            self.wfile.flush()
            self.close_connection = True
        elif kind == "slow":
            for start in range(0, len(sent), max(1, len(sent) // 10)):
                self.wfile.write(sent[start : start + max(1, len(sent) // 10)])
                self.wfile.flush()
                time.sleep(0.05)
        else:
            self.wfile.write(sent)

    def _json(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _error(self, status: int, message: str = "", *, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        if status == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()


def git_sha1(data: bytes) -> str:
    """What git calls these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
