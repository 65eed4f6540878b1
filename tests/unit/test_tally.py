"""A count stays right while transactions overlap it and each other: any history, any moment of counting."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.live.changes import Change, Changes, Horizon, ItemState
from webapp.live.matching import Matcher
from webapp.live.tally import Figures, Tally
from webapp.stock.views import Filter

NAMES = ("apples", "pears", "plums")
FILTERS = (Filter(), Filter(q="p", low=True), Filter(q="l"), Filter(location="A"))


def state(name: str, quantity: int, location: str | None = None, level: int | None = None) -> ItemState:
    return ItemState(name, quantity, None, location, level, None, name, name, None, location, None)


class World:
    """A table and its transactions: what is committed, what only its writer sees, and what the feed has not told."""

    def __init__(self) -> None:
        self.items: dict[int, ItemState] = {}
        self.open: dict[int, list[Change]] = {}
        self.untold: list[Change] = []
        self._xid = 100
        self._id = 0

    def write(self, xid: int, item_id: int, after: ItemState | None) -> None:
        if any(change.item_id in (item_id, None) for other in self.open if other != xid for change in self.open[other]):
            return  # the other transaction holds the row
        before = self.items.get(item_id)
        for change in self.open[xid]:
            before = change.after if change.item_id in (item_id, None) else before
        if before != after:
            self._log(xid, item_id, before, after)

    def truncate(self, xid: int) -> None:
        if not any(changes for other, changes in self.open.items() if other != xid):
            self._log(xid, None, None, None)

    def begin(self) -> int:
        self._xid += 1
        self.open[self._xid] = []
        return self._xid

    def end(self, xid: int, *, commit: bool) -> None:
        changes = self.open.pop(xid)
        for change in changes if commit else ():
            if change.item_id is None:
                self.items.clear()
            elif change.after is None:
                self.items.pop(change.item_id, None)
            else:
                self.items[change.item_id] = change.after
            self.untold.append(change)

    def tell(self) -> Changes:
        told, self.untold = self.untold, []
        return Changes(tuple(sorted(told, key=lambda change: change.id)))

    def count(self, matcher: Matcher) -> tuple[Figures, Horizon, set[int]]:
        figures, ids = Figures(), set()
        inserts = (Change(0, 0, "insert", item_id, None, item) for item_id, item in self.items.items())
        for change in inserts:
            for seen in matcher.seen(Changes((change,))):
                figures = figures.after(seen)
                ids.add(seen.item_id or 0)
        return figures, Horizon(self._xid + 1, frozenset(self.open)), ids

    def _log(self, xid: int, item_id: int | None, before: ItemState | None, after: ItemState | None) -> None:
        self._id += 1
        self.open[xid].append(Change(self._id, xid, "", item_id, before, after))


def stir(world: World, chance: random.Random) -> None:
    """Let some transaction begin, write, or end."""
    if not world.open or (len(world.open) < 3 and chance.random() < 0.2):
        world.begin()
        return
    xid = chance.choice([*world.open])
    if chance.random() < 0.3:
        world.end(xid, commit=chance.random() < 0.8)
    elif chance.random() < 0.03:
        world.truncate(xid)
    else:
        after = state(chance.choice(NAMES), chance.randrange(4), chance.choice("AB"), chance.choice([None, 0, 2]))
        world.write(xid, chance.randrange(4), chance.choice([after, after, None]))


Known = tuple[Figures, set[int] | None]


def figures_of_a_history(chance: random.Random, wanted: Filter) -> Iterator[tuple[Known, Known]]:
    """Yield a tally's figures and ids, and the true ones, each time that all was told and nobody counts."""
    world, tally = World(), Tally(Matcher(wanted, wanted.q))
    counted: tuple[Figures, Horizon, set[int]] | None = None
    is_counting = False
    for _ in range(60):
        stir(world, chance)
        if chance.random() < 0.2:
            tally.hear(world.tell())
        if chance.random() < 0.3:
            if not is_counting:
                tally.begin_count()
                is_counting = True
            elif counted is None:
                counted = world.count(tally.matcher)
            else:
                tally.end_count(*counted)
                tally.stop_count()
                is_counting, counted = False, None
        if not is_counting and not world.untold and tally.figures:
            figures, _, ids = world.count(tally.matcher)
            yield (tally.figures, tally.ids), (figures, ids)


@given(st.integers(), st.sampled_from(FILTERS))
def test_whatever_overlaps_the_count_the_figures_are_those_of_what_was_told(seed: int, wanted: Filter) -> None:
    for kept, true in figures_of_a_history(random.Random(seed), wanted):
        assert kept == true


def test_the_control_that_does_not_ask_what_the_count_has_seen_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Horizon, "sees", lambda self, xid: False)
    histories = (figures_of_a_history(random.Random(seed), FILTERS[0]) for seed in range(50))
    assert any(kept != true for history in histories for kept, true in history)


def test_the_histories_are_worth_the_name() -> None:
    histories = [list(figures_of_a_history(random.Random(seed), FILTERS[0])) for seed in range(50)]
    assert sum(figures.items > 0 for history in histories for _, (figures, _) in history) > 100


def test_a_count_that_became_void_meanwhile_is_not_taken_over() -> None:
    tally = Tally(Matcher(Filter(), ""))
    tally.begin_count()
    tally.make_void()
    tally.end_count(Figures(3), Horizon(100), {1, 2, 3})
    assert tally.figures is None


def test_a_count_that_failed_leaves_the_figures_there_were() -> None:
    tally = Tally(Matcher(Filter(), ""))
    tally.begin_count()
    tally.end_count(Figures(3, 30), Horizon(100), {1, 2, 3})
    tally.begin_count()
    tally.stop_count()
    tally.hear(Changes((Change(1, 100, "insert", 4, None, state("plums", 5, level=5)),)))
    assert tally.figures == Figures(4, 35, 1)
    assert tally.ids == {1, 2, 3, 4}


def test_ids_that_become_too_many_are_forgotten_and_the_figures_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.live.tally.KEPT_IDS", 3)
    tally = Tally(Matcher(Filter(), ""))
    tally.begin_count()
    tally.end_count(Figures(3, 30), Horizon(100), {1, 2, 3})
    tally.stop_count()
    tally.hear(Changes((Change(1, 100, "insert", 4, None, state("plums", 5)),)))
    tally.hear(Changes((Change(2, 101, "delete", 4, state("plums", 5), None),)))
    assert tally.figures == Figures(3, 30)
    assert tally.ids is None


def test_a_snapshot_is_read_as_the_server_writes_it() -> None:
    assert Horizon.parse("10:20:12,15") == Horizon(20, frozenset({12, 15}))
    assert Horizon.parse("10:10:") == Horizon(10)
    seen = [xid for xid in range(9, 22) if Horizon.parse("10:20:12,15").sees(xid)]
    assert seen == [9, 10, 11, 13, 14, 16, 17, 18, 19]
