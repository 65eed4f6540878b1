from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.htmx_model import Elements, apply, row, stub
from webapp.live.difference import Entry, Partial, Snapshot, difference, everything

ROWS = st.dictionaries(st.integers(1, 12), st.integers(0, 3), max_size=10).flatmap(
    lambda rows: st.permutations(list(rows.items()))
)


def snapshot(rows: list[tuple[int, int]], **elements: str) -> Snapshot:
    return Snapshot({"rows": tuple(Entry(f"item-{i}", row(f"item-{i}", str(v)), v) for i, v in rows)}, elements)


def shown(of: Snapshot) -> Elements:
    return {entry.id: entry.html for entry in of.lists["rows"]}


def swaps(old: Snapshot, new: Snapshot) -> list[Partial]:
    return list(difference(old, new, lambda entry, _: entry.html, lambda entry: stub(entry.id)))


@given(ROWS, ROWS)
def test_any_list_becomes_any_other(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    before, after = snapshot(old), snapshot(new)
    result = apply("rows", shown(before), swaps(before, after))
    assert list(result.items()) == list(shown(after).items())


@given(ROWS, ROWS)
def test_no_swap_depends_on_another(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    """htmx finds all targets before it swaps any: a second swap of one target, or of one that comes, would be lost."""
    before, after = snapshot(old), snapshot(new)
    targets = [swap.target for swap in swaps(before, after)]
    assert len(targets) == len(set(targets))
    assert set(targets) <= {"#rows", *(f"#{row_id}" for row_id in shown(before))}
    assert targets == ["#rows"] or "#rows" not in targets


@given(ROWS, ROWS)
def test_a_frame_that_arrives_twice_does_no_harm(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    before, after = snapshot(old), snapshot(new)
    once = apply("rows", shown(before), swaps(before, after))
    assert list(apply("rows", once, swaps(before, after)).items()) == list(once.items())


@given(ROWS, ROWS)
def test_everything_mends_whatever_a_page_shows(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    result = apply("rows", shown(snapshot(old)), everything(snapshot(new)))
    assert list(result.items()) == list(shown(snapshot(new)).items())


@given(st.lists(ROWS, min_size=2, max_size=5), st.data())
def test_two_sockets_of_one_page_may_interleave(states: list[list[tuple[int, int]]], data: st.DataObject) -> None:
    snapshots = [snapshot(state) for state in states]
    frames = [swaps(old, new) for old, new in pairwise(snapshots)]
    sockets = [list(frames), list(frames)]
    rows = shown(snapshots[0])
    while any(sockets):
        socket = data.draw(st.sampled_from([frames for frames in sockets if frames]))
        rows = apply("rows", rows, socket.pop(0))
    assert list(rows) == list(shown(snapshots[-1]))


def test_a_changed_row_is_one_swap_of_that_row() -> None:
    old, new = snapshot([(1, 5), (2, 6)]), snapshot([(1, 5), (2, 7)])
    assert swaps(old, new) == [Partial("#item-2", "outerMorph", row("item-2", "7"))]


def test_an_unchanged_row_is_sent_as_a_stub_when_others_move() -> None:
    old, new = snapshot([(1, 5), (2, 6)]), snapshot([(2, 6), (1, 5)])
    assert swaps(old, new) == [Partial("#rows", "innerMorph", stub("item-2") + stub("item-1"))]


def test_nothing_is_sent_for_nothing() -> None:
    assert swaps(snapshot([(1, 5)], pager="<nav>"), snapshot([(1, 5)], pager="<nav>")) == []


def test_an_element_is_sent_when_it_changed() -> None:
    old, new = snapshot([], matches="<p>1</p>", pager="<nav>"), snapshot([], matches="<p>2</p>", pager="<nav>")
    assert swaps(old, new) == [Partial("#matches", "outerMorph", "<p>2</p>")]


def test_the_revision_names_rows_order_elements_and_build() -> None:
    base = snapshot([(1, 5), (2, 6)], pager="<nav>")
    others = [
        snapshot([(1, 5), (2, 7)], pager="<nav>"),
        snapshot([(2, 6), (1, 5)], pager="<nav>"),
        snapshot([(1, 5), (2, 6)], pager="<nav >"),
        Snapshot(base.lists, base.elements, build="next"),
    ]
    assert len({base.revision, *(other.revision for other in others)}) == 5
    assert snapshot([(1, 5), (2, 6)], pager="<nav>").revision == base.revision
