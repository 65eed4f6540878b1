"""Passwords as Argon2 keeps them, and tokens that nobody can guess."""

import asyncio
import hashlib
import secrets
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST_CHARACTERS, MOST_CHARACTERS = 10, 1_000
_hasher = PasswordHasher()
_threads = ThreadPoolExecutor(2, "argon2")  # each takes 64 MB and a core; the others wait for their turn


async def hash_password(password: str) -> str:
    """Return what is kept of a password."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, _bytes(password))


async def is_password(kept: str | None, password: str) -> bool:
    """Whether a password is the one that is kept; without one it takes as long to say no."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, _verify, kept or _of_nobody(), password) and kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a password should be kept anew, with the parameters of today."""
    return _hasher.check_needs_rehash(kept)


def new_token() -> str:
    """Return 256 random bits that fit into an address or a cookie."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> bytes:
    """Return what is kept of a token: it is random, so a plain SHA-256 cannot be turned back."""
    return hashlib.sha256(_bytes(token)).digest()


def _of_nobody() -> str:
    """Return what no password fits, with the costs of what is kept: it takes as long to say so."""
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (_hasher.salt_len, _hasher.hash_len)
    )
    costs = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"


def _verify(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
