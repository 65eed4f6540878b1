"""What is kept of passwords, and what stands for the password of nobody."""

import pytest
from argon2.exceptions import VerifyMismatchError

from webapp.access import passwords


async def test_a_password_is_known_by_what_is_kept_of_it() -> None:
    kept = await passwords.hash_password("correct horse")
    assert await passwords.is_password(kept, "correct horse")
    assert not await passwords.is_password(kept, "correct house")
    assert not await passwords.is_password(None, "correct horse")


async def test_nobody_is_refused_by_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []
    monkeypatch.setattr(passwords, "_verify", lambda kept, _: computed.append(kept))
    await passwords.is_password(None, "correct horse")
    (nobody,) = computed
    assert not passwords.is_outdated(nobody), "its costs are those of what is kept"
    with pytest.raises(VerifyMismatchError):  # it is computed, not refused at sight
        passwords._hasher.verify(nobody, "correct horse")
