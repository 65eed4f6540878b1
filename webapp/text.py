"""Text that people and programs send: what surrounds it, and what no database can hold."""

# The same characters as inventory_trim() in the database takes off; a test compares the two.
WHITE_SPACE = " \t\n\r\f\v\u0085\u00a0\u1680\u180e" + "".join(map(chr, range(0x2000, 0x200E)))
WHITE_SPACE += "\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"


def trim(text: str) -> str:
    """Take off white space of every alphabet, and the characters that show as nothing."""
    return text.strip(WHITE_SPACE)


def storable(text: str) -> str:
    """Leave out what PostgreSQL cannot hold: the character NUL, and halves of surrogate pairs."""
    return "".join(c for c in text if c != "\0" and not "\ud800" <= c <= "\udfff")


def first_line(said: object) -> str:
    """Return the first line of a text or an error: psycopg's go on with hints that no log needs."""
    return str(said).strip().partition("\n")[0]


def whole_number(text: str, highest: int) -> int | None:
    """Read a whole number from 0 to `highest`; None if it is not one. Python itself stumbles at 4,300 digits."""
    digits = text.lstrip("0") or text[-1:]
    if not (text.isascii() and text.isdigit()) or len(digits) > len(str(highest)):
        return None
    number = int(digits)
    return number if number <= highest else None


def as_typed(value: object) -> object:
    """Return a value as a form's field shows and sends it: a line of text without white space around it."""
    return trim(value.replace("\r", "").replace("\n", "")) or None if isinstance(value, str) else value
