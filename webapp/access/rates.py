"""How often somebody may ask."""

import time
from collections.abc import Callable

MOST_KEPT = 10_000


class Rate:
    """So much at once and then so much a second, for each who.

    One number is kept of each: when all will have come back that was spent (the generic cell rate algorithm).
    """

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst_s = burst / per_second
        self._clock = clock
        self._even_at: dict[str, float] = {}

    def spend(self, who: str, cost: float = 1) -> float:
        """Return 0 and count it, if it is allowed; or after how many seconds it will be."""
        now = self._clock()
        even_at = max(now, self._even_at.get(who, now)) + cost / self._per_second
        wait_s = even_at - now - self._burst_s
        if wait_s > 1e-6:  # less is rounding
            return wait_s
        if who not in self._even_at and len(self._even_at) >= MOST_KEPT:
            self._make_room(now)
        self._even_at[who] = even_at
        return 0.0

    def _make_room(self, now: float) -> None:
        """Forget who is even; and if all are not, half of them: what strangers can fill is bounded in any case."""
        owing = {who: even_at for who, even_at in self._even_at.items() if even_at > now}
        self._even_at = dict(list(owing.items())[-MOST_KEPT // 2 :])
