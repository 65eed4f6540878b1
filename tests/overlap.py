"""Writers whose transactions overlap, and a reader that loses some of them: it goes by the ids of the log."""

import random
import time
from contextlib import closing

import psycopg

PAUSES_S = (0.0, 0.0, 0.001, 0.002, 0.01)

Told = tuple[int | None, int]


class Writer:
    """Writes to an item of its own; `committed` is what it knows to be committed."""

    def __init__(self, url: str, item_id: int, seed: int) -> None:
        self.committed: list[Told] = []
        self._url = url
        self._item_id = item_id
        self._chance = random.Random(seed)
        self._quantity = 0

    def write(self, commits: int) -> None:
        with closing(psycopg.connect(self._url)) as connection:
            for _ in range(commits):
                while not self._commit_one(connection):
                    pass

    def _commit_one(self, connection: psycopg.Connection) -> bool:
        """One transaction, that may end as a rollback; return whether it was committed."""
        written = [self._set_quantity(connection)]
        if self._chance.random() < 0.2:
            with connection.transaction(force_rollback=self._chance.random() < 0.5) as savepoint:
                inner = self._set_quantity(connection)
            written += [] if savepoint.force_rollback else [inner]
        time.sleep(self._chance.choice(PAUSES_S))
        if self._chance.random() < 0.1:
            connection.rollback()
            return False
        connection.commit()
        self.committed += written
        return True

    def _set_quantity(self, connection: psycopg.Connection) -> Told:
        self._quantity += 1
        connection.execute("UPDATE inventory SET quantity = %s WHERE id = %s", [self._quantity, self._item_id])
        return self._item_id, self._quantity


class SequenceReader:
    """The control: reads the log from the highest id it has seen, as one is tempted to."""

    def __init__(self, url: str) -> None:
        self.read: list[Told] = []
        self.is_stopped = False
        self._url = url

    def follow(self) -> None:
        highest = 0
        with closing(psycopg.connect(self._url, autocommit=True)) as connection:
            while not self.is_stopped:
                rows = connection.execute(
                    "SELECT id, item_id, after_quantity FROM inventory_changes"
                    " WHERE id > %s AND operation = 'update' ORDER BY id",
                    [highest],
                ).fetchall()
                self.read += [(item_id, quantity) for _, item_id, quantity in rows]
                highest = rows[-1][0] if rows else highest
                time.sleep(0.002)
