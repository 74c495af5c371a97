"""One file over HTTP: continued where it stopped, tried again when the line drops.

`huggingface_hub`'s own download starts a file from nothing in every process; a shard is large
enough to continue. Its session is used, so proxies and certificates are the same, and a token
never follows a redirect to another host. What has arrived lies in one part file, whose size is
the only state: a kill loses nothing (law 4).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from auricle.errors import DataError
from auricle.files import make_folder, write_failure

ATTEMPTS = 5
"""Failures in a row without a single new byte, before a file is given up."""
_LONGEST_WAIT_S = 60.0
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")


class UnreachableError(DataError):
    """The server cannot be reached or keeps failing: the other files would fare no better."""


class StoppedError(Exception):
    """Another file failed for good, or the user pressed Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on trying, and whether to stop at once."""

    stop: threading.Event
    wait_s: float = 1.0
    """Before the second attempt; it doubles."""
    attempts: int = ATTEMPTS
    """Of one request."""

    def wait(self, attempt: int, error: Exception) -> None:
        """Wait before another attempt, or as long as the server asks.

        Raises:
            StoppedError: There will be no other attempt.
        """
        wish = _retry_after(error)
        pause = self.wait_s * 2**attempt if wish is None else wish
        if self.stop.wait(min(pause, _LONGEST_WAIT_S)):
            raise StoppedError


def with_retries(ask: Callable[[], T], *, what: str, patience: Patience) -> T:
    """Ask a server until it answers.

    Args:
        ask: The request.
        what: What is asked, for the error's text.
        patience: When to give up.

    Raises:
        DataError: It refuses for good, e.g. 404.
        UnreachableError: It did not answer in as many attempts.
        StoppedError: Another file failed for good.
    """
    for attempt in range(patience.attempts):
        if patience.stop.is_set():
            raise StoppedError
        try:
            return ask()
        except network_errors() as error:
            failure = _judge(error, what)
            if failure is not None:
                raise failure from error
            if attempt + 1 == patience.attempts:
                raise _gave_up(what, error, patience.attempts) from error
            patience.wait(attempt, error)
    raise AssertionError("not reached")


def download(
    url: str,
    part: Path,
    *,
    size: int | None,
    headers: Mapping[str, str],
    on_bytes: Callable[[int], None],
    patience: Patience,
) -> None:
    """Bring a file into its part file, after what already lies there.

    Args:
        url: Its address.
        part: The part file; made if it is missing.
        size: Bytes that the file has; None = as many as come.
        headers: E.g. the token's.
        on_bytes: Is told the bytes as they arrive; negative where they are thrown away.
        patience: When to give up.

    Raises:
        DataError: The server refuses for good.
        UnreachableError: It failed as many times in a row as `patience` says.
        StoppedError: Another file failed for good.
        OutputError: The part file cannot be written.
    """
    make_folder(part.parent)
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        if size is not None and before > size:
            part.unlink()
            on_bytes(-before)
            before = 0
        if size is not None and before == size and part.exists():
            return
        try:
            _receive(url, part, size, headers, on_bytes, patience)
        except network_errors() as error:
            failure = _judge(error, url)
            if failure is not None:
                raise failure from error
            gained = (part.stat().st_size if part.exists() else 0) > before
            failures = 1 if gained else failures + 1
            if failures == patience.attempts:
                raise _gave_up(url, error, patience.attempts) from error
            patience.wait(failures - 1, error)
        else:
            return


def network_errors() -> tuple[type[Exception], ...]:
    """What a request can raise through no fault of ours."""
    from huggingface_hub.errors import HfHubHTTPError

    # Its first base is HTTPError of the HTTP library that this version of the hub is built on.
    return (HfHubHTTPError.__bases__[0], _CutShortError, ConnectionError, TimeoutError)


class _CutShortError(Exception):
    """The answer ended early."""


def _receive(
    url: str,
    part: Path,
    size: int | None,
    headers: Mapping[str, str],
    on_bytes: Callable[[int], None],
    patience: Patience,
) -> None:
    from huggingface_hub import constants, get_session, hf_raise_for_status

    have = part.stat().st_size if part.exists() else 0
    asked = {**headers, "Accept-Encoding": "identity"}
    if have:
        asked["Range"] = f"bytes={have}-"
    timeout = max(constants.HF_HUB_DOWNLOAD_TIMEOUT, 10)
    with get_session().stream("GET", url, headers=asked, timeout=timeout) as answer:
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            part.unlink()
            on_bytes(-have)
            raise _CutShortError("the server has less than what lies here")
        hf_raise_for_status(answer)
        goes_on = answer.status_code == HTTPStatus.PARTIAL_CONTENT
        goes_on = goes_on and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if have and not goes_on:  # the server sends the whole file again
            on_bytes(-have)
        length = answer.headers.get("Content-Length")
        came = _write(part, answer, "ab" if goes_on else "wb", on_bytes, patience)
    expected = int(length) if length is not None and length.isdigit() else None
    total = came + (have if goes_on else 0)
    if (expected is not None and came < expected) or (size is not None and total < size):
        raise _CutShortError(f"it ended after {total} bytes")


def _write(
    part: Path,
    answer: Any,
    mode: str,
    on_bytes: Callable[[int], None],
    patience: Patience,
) -> int:
    came = 0
    try:
        stream = part.open(mode)
    except OSError as error:
        raise write_failure(part, error) from error
    with stream:
        for chunk in answer.iter_raw():
            if patience.stop.is_set():
                raise StoppedError
            try:
                stream.write(chunk)
                stream.flush()  # a kill loses nothing that has arrived
            except OSError as error:
                raise write_failure(part, error) from error
            came += len(chunk)
            on_bytes(len(chunk))
    return came


def _judge(error: BaseException, what: str) -> DataError | None:
    """The error to raise at once; None = worth another attempt."""
    status = _status(error)
    if status is None or status in _AGAIN:
        return None
    if status in (401, 403):
        return DataError(
            f"{what}: access refused ({status}). Set HF_TOKEN to a token that may read it, or "
            "accept its terms on the repository's page."
        )
    if status == HTTPStatus.NOT_FOUND:
        return DataError(f"{what}: not found on the server (404).")
    return DataError(f"{what}: the server refuses it with status {status}.")


def _gave_up(what: str, error: BaseException, attempts: int) -> UnreachableError:
    status = _status(error)
    seen = (
        f"status {status}" if status else f"{str(error).splitlines()[0] if str(error) else error!r}"
    )
    return UnreachableError(
        f"{what}: {attempts} attempts failed, the last with: {seen}. Check the network, the proxy "
        "and HF_ENDPOINT."
    )


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _retry_after(error: Exception) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", {})
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
