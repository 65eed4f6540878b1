"""What a browser looks at: search, filter, sort and page, as one small value shared by all who look at the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from webapp.text import storable, trim, whole_number

SORTS = ("name", "quantity", "unit", "location", "reorder_level", "code", "updated_at", "id", "version")
PAGE_ROWS = 50
MAX_PAGE = 1_000_000
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Which items are wanted: a search text as typed, a location, and whether only those that are low."""

    q: str = ""
    location: str = ""
    low: bool = False

    @property
    def is_scattered(self) -> bool:
        """Whether what is wanted may stand anywhere in any order; an index holds the items of a location together."""
        return bool(self.q or self.low)


ALL_ITEMS = Filter()


@dataclass(frozen=True, slots=True)
class View:
    """A canonical view: equal views share one query, one render and one frame."""

    q: str = ""
    sort: str = "name"
    low: bool = False
    location: str = ""
    page: int = 1

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> tuple["View", list[str]]:
        """Read a query string; what cannot be used falls back, and each fallback is a sentence for the page."""
        complaints: list[str] = []
        view = cls(
            q=_text("search text", query.get("q", ""), complaints, trim),
            sort=_sort(query.get("sort", ""), complaints),
            low=_flag(query.get("low", ""), complaints),
            location=_text("location", query.get("location", ""), complaints, str),
            page=_page(query.get("page", ""), complaints),
        )
        return view, complaints

    @property
    def filter(self) -> Filter:
        """Which items it has on all its pages, whatever their order."""
        return Filter(self.q, self.location, self.low)

    @property
    def column(self) -> str:
        """The column sorted by."""
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the largest value comes first."""
        return self.sort.startswith("-")

    @property
    def query(self) -> str:
        """The canonical query string; empty for the default view."""
        values = {"q": self.q, "sort": self.sort, "low": "1" if self.low else "", "location": self.location}
        values["page"] = str(self.page)
        defaults = {"sort": "name", "page": "1"}
        return urlencode({key: value for key, value in values.items() if value and value != defaults.get(key)})

    @property
    def url(self) -> str:
        """The page's address."""
        return f"/?{self.query}" if self.query else "/"

    def on_page(self, page: int) -> "View":
        """Return the same view on another page."""
        return replace(self, page=page)

    def sorted_by(self, column: str) -> "View":
        """Return the first page sorted by `column`; the same column again turns the direction round."""
        turned = self.column == column and not self.descending
        return replace(self, sort=f"-{column}" if turned else column, page=1)


def _text(what: str, value: str, complaints: list[str], clean: Callable[[str], str]) -> str:
    text = clean(storable(value))
    if storable(value) != value:
        complaints.append(f"The {what} had characters that no item can have; they were left out.")
    if len(text) > MAX_TEXT:
        complaints.append(f"The {what} was longer than {MAX_TEXT} characters; the rest was left out.")
    return clean(text[:MAX_TEXT])


def _sort(value: str, complaints: list[str]) -> str:
    if not value or value.removeprefix("-") in SORTS:
        return value or "name"
    complaints.append("There is no such order; the items are sorted by name.")
    return "name"


def _flag(value: str, complaints: list[str]) -> bool:
    if value not in ("", "0", "1"):
        complaints.append("“low” is 1 or 0; all items are shown.")
    return value == "1"


def _page(value: str, complaints: list[str]) -> int:
    page = whole_number(value or "1", MAX_PAGE)
    if not page:
        complaints.append("There is no such page; this is the first one.")
    return page or 1
