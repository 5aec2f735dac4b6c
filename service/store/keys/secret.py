"""The text of a key: `sk_<prefix>_<secret><checksum>`.

The prefix is public and finds the record, the secret is 256 random bits, the checksum is the CRC32 of all before
it: who scans texts for leaked keys, and the API before it asks the records, can tell a key from a typing error. All
digits are of base 62.

Kept is the SHA-256 of the whole text. A slow hash guards secrets that can be guessed; 256 random bits cannot, and
every request would pay for it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 12, 43, 6
SECRET_BYTES = 32
KEY = re.compile(
    rf"sk_([0-9A-Za-z]{{{PREFIX_LENGTH}}})_"
    rf"[0-9A-Za-z]{{{SECRET_LENGTH}}}([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)
# Of no key: compared with where none is found, so that both answers take as long.
NO_DIGEST = "0" * 64


@dataclass(frozen=True)
class KeyText:
    """A well-formed key; `text` is the secret, and is never shown by accident."""

    prefix: str
    text: str = field(repr=False)

    @property
    def sha256(self) -> str:
        """What is kept of it, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def matches(self, sha256: str | None) -> bool:
        """Say whether this is the key with that digest, in time that does not depend on where they differ."""
        return hmac.compare_digest(self.sha256, sha256 or NO_DIGEST)


def new_key() -> KeyText:
    """Return a key that nobody has seen."""
    prefix = "".join(secrets.choice(DIGITS) for _ in range(PREFIX_LENGTH))
    secret = _base62(int.from_bytes(secrets.token_bytes(SECRET_BYTES)), SECRET_LENGTH)
    head = f"sk_{prefix}_{secret}"
    return KeyText(prefix, head + _checksum(head))


def read_key(text: str) -> KeyText | None:
    """Return the key that a text is; None where its form or its checksum is wrong."""
    match = KEY.fullmatch(text)
    if match is None or _checksum(text[:-CHECKSUM_LENGTH]) != match[2]:
        return None
    return KeyText(match[1], text)


def _checksum(head: str) -> str:
    return _base62(zlib.crc32(head.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits
