"""Who is at the other end, as far as limits go: an address, or what takes the place of one."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

ADDRESSES_KEPT = 4096
UNKNOWN = "unknown"


class Crowd:
    """Counts who is there, by address, so that no address takes all the room.

    Loopback and the `proxies` (addresses and networks) may be any number: they speak for others.
    """

    def __init__(self, most: int, proxies: tuple[str, ...] = ()) -> None:
        self.most = most
        self.proxies = proxies
        self.parties: dict[str | None, Party] = {}

    def enter(self, address: str | None) -> "Party | None":
        """Let somebody in, who is to `leave` the party; None if there are too many of that address."""
        name = neighbourhood(address, self.proxies)
        party = self.parties.get(name) or Party(self, name)
        if name is not None and party.size >= self.most:
            return None
        party.size += 1
        self.parties[name] = party
        return party


class Party:
    """Those of one address who are there."""

    __slots__ = ("_crowd", "_name", "size")

    def __init__(self, crowd: Crowd, name: str | None) -> None:
        self._crowd = crowd
        self._name = name
        self.size = 0

    def leave(self) -> None:
        """Take note that one of them has gone."""
        self.size -= 1
        if not self.size:
            del self._crowd.parties[self._name]


@lru_cache(ADDRESSES_KEPT)
def is_proxy(address: str, proxies: tuple[str, ...]) -> bool:
    """Whether an address is one of the `proxies`, which are addresses and networks."""
    ip = _ip(address)
    return ip is not None and any(ip in ip_network(proxy) for proxy in proxies)


@lru_cache(ADDRESSES_KEPT)
def neighbourhood(address: str | None, proxies: tuple[str, ...] = ()) -> str | None:
    """Return what one party has of all addresses: one of IPv4, a /64 of IPv6. None for loopback and proxies.

    Anything may be called an address: what a proxy tells comes from the other end of the world.
    """
    ip = _ip(address or "")
    if ip is None:
        return UNKNOWN
    if ip.is_loopback or is_proxy(str(ip), proxies):
        return None
    return str(ip if isinstance(ip, IPv4Address) else IPv6Network((int(ip), 64), strict=False))


def _ip(address: str) -> IPv4Address | IPv6Address | None:
    """Read an address; one of IPv4 in the clothes of IPv6 is one of IPv4."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip
