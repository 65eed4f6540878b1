"""A shop that is made up: shelves filled with a believable stock, then deliveries, sales and counts, as programs do."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import psycopg
from psycopg.rows import TupleRow

from webapp.postgres.queries import QUERIES

Stock = dict[str, object]

ITEMS = 200
# Kind of goods: where it lies, in what it is counted, the usual reorder level, what there is, in which varieties.
GOODS: tuple[tuple[str, str, int, str, str], ...] = (
    ("Shelf A", "boxes", 8, "Screws,Bolts,Nuts,Washers,Wall plugs", "M3,M4,M5,M6,M8,M10"),
    ("Shelf B", "pieces", 15, "LED lamp,Fuse,Switch,Socket,Cable tie", "white,black,grey,large,small"),
    ("Shelf C", "rolls", 6, "Masking tape,Packing tape,Sandpaper,Wire", "fine,medium,coarse,wide,narrow"),
    ("Cold room", "litres", 12, "Oat milk,Apple juice,Cream,Buttermilk", "organic,1 l,250 ml,plain"),
    ("Pantry", "kg", 20, "Flour,Rice,Sugar,Lentils,Coffee,Almonds", "organic,brown,white,ground,whole"),
    ("Drawers", "pieces", 25, "Pencil,Marker,Notebook,Envelope,Folder", "A4,A5,blue,red,green,black"),
    ("Workshop", "pieces", 3, "Hammer,Saw,Pliers,Clamp,Chisel,Drill bit", "small,medium,large,steel"),
    ("Yard", "bags", 5, "Potting soil,Bark mulch,Gravel,Sand,Lime", "10 l,20 l,40 l"),
    ("Lab", "packs", 4, "Gloves,Pipette tips,Petri dishes,Filters", "S,M,L,sterile,unsterile"),
)
SALE_REASONS = ("sold", "sold", "sold", "sold to a regular", "web order", "broken on the counter")
COUNT_REASONS = ("counted", "counted again", "found behind the shelf")


def make_stock(chance: random.Random, items: int = ITEMS) -> list[Stock]:
    """Make up items: unlike names, codes like those on packages, most of them well in stock."""
    named = [(f"{thing}, {variety}", k) for k in GOODS for thing in k[3].split(",") for variety in k[4].split(",")]
    chosen = chance.sample(named, min(items, len(named)))
    return [_item(chance, name, kind[:3], number) for number, (name, kind) in enumerate(chosen)]


def _item(chance: random.Random, name: str, kind: tuple[str, str, int], number: int) -> Stock:
    """Return an item; a few have no code or are not reordered, as it is in every shop."""
    place, unit, level = kind
    return {
        "name": name,
        "quantity": chance.randint(level // 2, level * 6),
        "unit": unit,
        "location": f"{place} {chance.randint(1, 4)}" if place.startswith("Shelf") else place,
        "reorder_level": level if chance.random() < 0.9 else None,
        "code": f"400{chance.randint(100, 999)}{number:04}" if chance.random() < 0.9 else None,
    }


class Shop:
    """Trades on one connection, which is in autocommit; `deals` counts what was done."""

    def __init__(self, connection: psycopg.Connection[TupleRow], chance: random.Random | None = None) -> None:
        self._connection = connection
        self._chance = chance or random.Random()  # noqa: S311 - no secret depends on it
        self._work = {"sales": self._sell, "deliveries": self._deliver, "counts": self._count}
        self.deals: Counter[str] = Counter(dict.fromkeys(self._work, 0))

    def count_items(self) -> int:
        """Return how many items there are."""
        (row,) = self._connection.execute(QUERIES["simulation_size"]).fetchall()
        return int(row[0])

    def fill(self) -> int:
        """Add the made-up items; return how many."""
        stock = make_stock(self._chance)
        with self._as("opening stock", "the shop opens"), self._connection.cursor() as cursor:
            cursor.executemany(QUERIES["add_item"], stock)
        return len(stock)

    def trade(self, rate: float, seconds: float | None, closing: Event) -> Iterator[Counter[str]]:
        """Do `rate` changes a second until it is closing; yield what was done so far, about once a second."""
        started = told = time.monotonic()
        for number in range(1, 2**62):
            due = started + number / rate
            if seconds is not None and due > started + seconds:
                break
            if closing.wait(max(0.0, due - time.monotonic())):
                break
            (kind,) = self._chance.choices(list(self._work), weights=(85, 10, 5))
            self.deals[kind] += self._work[kind]()
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                yield self.deals
        yield self.deals

    def _sell(self) -> int:
        till = f"till {self._chance.randint(1, 3)}"
        return self._do("simulate_sale", till, self._chance.choice(SALE_REASONS), {"by": self._chance.randint(1, 3)})

    def _deliver(self) -> int:
        note = f"delivery note {self._chance.randint(1000, 9999)}"
        return self._do("simulate_delivery", "delivery", note, {"items": self._chance.randint(1, 6)})

    def _count(self) -> int:
        off = self._chance.choice((-2, -1, 1, 2))
        return self._do("simulate_count", "warehouse", self._chance.choice(COUNT_REASONS), {"off": off})

    def _do(self, query: str, application: str, reason: str, values: dict[str, int]) -> int:
        """Run one deal in a transaction of its own; return how many items it changed."""
        with self._as(application, reason):
            return self._connection.execute(QUERIES[query], values).rowcount

    @contextmanager
    def _as(self, application: str, reason: str) -> Iterator[None]:
        """Open a transaction that says which program it is, and why it changes things."""
        with self._connection.transaction():
            self._connection.execute(QUERIES["simulate_as"], {"application": application, "reason": reason})
            yield
