"""Keys of those who judge: a private one signs receipts, a list of public ones says who is trusted.

A private key is a PEM file (PKCS 8, Ed25519) that only its owner may read. A list of public keys is
plain text, a key per line, so that two lists are joined by putting one behind the other::

    # who may publish on our board
    ed25519 8mT0x…= Challenge 2026, the organisers
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from auricle.challenge.verdicts import shown
from auricle.errors import OutputError, UserError
from auricle.files import make_folder, write_failure, write_text

ALGORITHM = "Ed25519"
_WORD = "ed25519"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> str:
        """The public key that belongs to it, as base64."""
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def sign(self, data: bytes) -> str:
        """The signature of some bytes, as base64."""
        return base64.b64encode(self.private.sign(data)).decode()


def make_keys(path: Path, name: str) -> Path:
    """Make a pair of keys.

    Args:
        path: The private key's file; only its owner may read it.
        name: Whose key it is, for people.

    Returns:
        The file of the public key, a line for lists of trusted keys, beside it.

    Raises:
        UserError: One of the files is there already, or the name does not fit on a line.
        OutputError: They cannot be written.
    """
    if not name.strip() or not name.isprintable() or len(name) > 100:
        raise UserError(
            f"The key's name is {shown(repr(name))}; who signs with it is expected, on one line, "
            "e.g. 'Challenge 2026'."
        )
    public = path.with_name(f"{path.name.removesuffix('.key')}.pub")
    for each in (path, public):
        if each.exists() or each.is_symlink():
            raise UserError(
                f"{each} is there already, and a key is never written over: what it signed could "
                "not be checked any more. Name another file with --out."
            )
    key = SigningKey(Ed25519PrivateKey.generate())
    pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pem)
    except OSError as error:
        raise write_failure(path, error) from error
    try:
        write_text(public, f"{_WORD} {key.public} {name.strip()}\n")
    except OutputError:
        path.unlink()  # half a pair is none
        raise
    return public


def read_key(path: Path) -> SigningKey:
    """Read a private key.

    Raises:
        UserError: There is none, it is open to others, or it is damaged.
    """
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()[:_MAX_BYTES] if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise UserError(
            f"The key {path} cannot be read ({error.strerror}); the private file that 'auricle "
            "challenge keys' wrote is expected. Name it with --key."
        ) from error
    if mode & 0o077:
        raise UserError(
            f"The key {path} is open to other users (mode {stat.S_IMODE(mode):o}), who could sign "
            f"with it; 600 is expected: chmod 600 {path}"
        )
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UserError(
            f"The key {path} is damaged or no private key; the PEM file that 'auricle challenge "
            "keys' wrote is expected. Bring a copy back, or make a new pair."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(
            f"The key {path} is of another kind ({type(key).__name__.lstrip('_')}); an Ed25519 key "
            "from 'auricle challenge keys' is expected."
        )
    return SigningKey(key)


def read_trusted(path: Path) -> dict[str, str]:
    """Read a list of public keys: whose each one is, by the key.

    Raises:
        UserError: There is none, or a line is no key; all such lines together.
    """
    try:
        text = path.read_bytes()[:_MAX_BYTES].decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(
            f"The list of trusted keys {path} cannot be read ({reason}); a text file with the "
            "public key of each signer on a line is expected: the .pub files of 'auricle "
            "challenge keys'."
        ) from error
    found: dict[str, str] = {}
    bad = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 3 or words[0] != _WORD or _raw(words[1], 32) is None:
            bad.append(f"line {number} is '{shown(line, 60)}'")
        elif words[1] in found:
            bad.append(f"line {number} repeats the key of '{shown(found[words[1]], 60)}'")
        else:
            found[words[1]] = shown(words[2].strip(), 100)
    if bad or not found:
        raise UserError(
            f"{path} is no list of trusted keys: {'; '.join(bad[:5]) or 'it holds no key'}. "
            f"Expected is a key per line, '{_WORD} KEY NAME', as 'auricle challenge keys' writes "
            "it into the .pub file. Nothing was published."
        )
    return found


def is_signature(value: str, data: bytes, *, public: str) -> bool:
    """Whether a signature of some bytes was made with the private part of a public key."""
    key, signature = _raw(public, 32), _raw(value, 64)
    if key is None or signature is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _raw(text: str, size: int) -> bytes | None:
    """Bytes of a base64 text in its only spelling; None where it is another text."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) == size and base64.b64encode(data).decode() == text else None
