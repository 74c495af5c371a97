"""What a dataset repository says of its files: commit, sizes, hashes.

The hub's API is asked first, a thousand paths at a time; a mirror without it is asked file by
file. ``HF_ENDPOINT``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN`` are honoured.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from auricle.data.download import Patience, network_errors, with_retries
from auricle.errors import DataError, printable

DEFAULT_ENDPOINT = "https://huggingface.co"
_PATHS_AT_ONCE = 500
_THREADS = 8


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository at a commit, or of an address of its own."""

    name: str
    url: str
    size: int | None
    sha256: str | None
    """None where only git's own hash, or none, is published."""
    git_sha1: str | None


def endpoint() -> str:
    """The hub's address.

    Raises:
        DataError: ``HF_ENDPOINT`` is no address, or ``HF_TOKEN`` holds what no token has.
    """
    address = os.environ.get("HF_ENDPOINT", DEFAULT_ENDPOINT).strip().rstrip("/")
    try:
        parts = urlsplit(address)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_one = is_one and (parts.port is None or parts.port > 0) and address.isprintable()
    except ValueError:
        is_one = False
    if not is_one:
        raise DataError(
            f"HF_ENDPOINT is '{printable(without_password(address))}', which is no address; "
            f"expected one such as {DEFAULT_ENDPOINT}. Correct it, or unset it."
        )
    token = os.environ.get("HF_TOKEN", "").strip()
    if token and not re.fullmatch(r"[!-~]+", token):
        odd = sorted(set(re.findall(r"[^!-~]", token)))
        raise DataError(
            f"HF_TOKEN holds {', '.join(ascii(sign) for sign in odd[:5])}, which no token has; "
            "expected hf_ and letters. Set it anew without quotes or spaces."
        )
    return address


def shown_endpoint() -> str:
    """The hub's address for people: without a password."""
    return without_password(endpoint())


def without_password(address: str) -> str:
    """An address without the name and password that may stand before its host."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@", r"\1", address)


def is_offline() -> bool:
    """Whether the user forbade the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def auth_headers() -> dict[str, str]:
    """Headers that carry the user's token, if there is one."""
    from huggingface_hub import get_token

    token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def resolve_commit(repository: str, revision: str, *, a_file: str, patience: Patience) -> str:
    """The commit that a revision stands for now.

    Args:
        repository: ``owner/name`` of a dataset.
        revision: A branch or tag.
        a_file: Any file of it, to be asked where the API is missing.
        patience: When to give up.

    Raises:
        DataError: There is no such repository or revision, or no access.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    what = f"{shown_endpoint()}/datasets/{repository} at '{revision}'"

    def ask() -> str | None:
        try:
            info = HfApi(endpoint()).dataset_info(repository, revision=revision, timeout=30)
        except (RepositoryNotFoundError, RevisionNotFoundError):
            raise
        except network_errors() as error:
            if _is_no_api(error):
                return None
            raise
        return info.sha

    commit = with_retries(ask, what=what, patience=patience)
    if commit is None:
        commit = _head(repository, revision, a_file, patience)[0]
    if commit is None or not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise DataError(f"{what}: the server names no commit. Check HF_ENDPOINT.")
    return commit


def describe_files(
    repository: str, commit: str, names: Sequence[str], *, patience: Patience
) -> list[RemoteFile]:
    """Size and hash of files at a commit.

    Raises:
        DataError: Files are not in the repository; the first few are named.
    """
    found: dict[str, RemoteFile] = {}
    for start in range(0, len(names), _PATHS_AT_ONCE):
        chunk = list(names[start : start + _PATHS_AT_ONCE])
        answer = with_retries(
            partial(_paths_info, repository, commit, chunk),
            what=f"{shown_endpoint()}/datasets/{repository}",
            patience=patience,
        )
        if answer is None:
            return _describe_one_by_one(repository, commit, names, patience)
        found |= {file.name: file for file in answer}
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(not_in_repository(repository, commit, missing))
    return [found[name] for name in names]


def not_in_repository(repository: str, commit: str, missing: Sequence[str]) -> str:
    """The sentence for files that a repository does not have."""
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return (
        f"{shown_endpoint()}/datasets/{repository} has no {', '.join(missing[:3])}{more} at commit "
        f"{commit[:12]}. Correct the shard names or the revision."
    )


def _paths_info(repository: str, commit: str, names: list[str]) -> list[RemoteFile] | None:
    """None where the server has no such API."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        infos = HfApi(endpoint()).get_paths_info(
            repository, names, revision=commit, repo_type="dataset"
        )
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise
    except network_errors() as error:
        if _is_no_api(error):
            return None
        raise
    return [
        RemoteFile(
            name=info.path,
            url=_url(repository, commit, info.path),
            size=info.size,
            sha256=info.lfs.sha256 if info.lfs else None,
            git_sha1=None if info.lfs else info.blob_id,
        )
        for info in infos
        if isinstance(info, RepoFile)
    ]


def _describe_one_by_one(
    repository: str, commit: str, names: Sequence[str], patience: Patience
) -> list[RemoteFile]:
    def describe(name: str) -> RemoteFile:
        _, size, etag = _head(repository, commit, name, patience)
        return RemoteFile(
            name=name,
            url=_url(repository, commit, name),
            size=size,
            sha256=etag if re.fullmatch(r"[0-9a-f]{64}", etag or "") else None,
            git_sha1=etag if re.fullmatch(r"[0-9a-f]{40}", etag or "") else None,
        )

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(describe, names))


def _head(
    repository: str, revision: str, name: str, patience: Patience
) -> tuple[str | None, int | None, str | None]:
    from huggingface_hub import get_hf_file_metadata

    url = _url(repository, revision, name)
    answer = with_retries(
        lambda: get_hf_file_metadata(url, timeout=30, endpoint=endpoint()),
        what=without_password(url),
        patience=patience,
    )
    return answer.commit_hash, answer.size, answer.etag


def _url(repository: str, revision: str, name: str) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repository, name, repo_type="dataset", revision=revision, endpoint=endpoint())


def _is_no_api(error: BaseException) -> bool:
    response = getattr(error, "response", None)
    return response is not None and response.status_code in (404, 405, 410, 501)
