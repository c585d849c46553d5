"""How often one caller may knock: a token bucket for each, in memory, for a bounded number of callers."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address

CALLERS = 4096


class Rates:
    """Lets each caller through `burst` times at once, and `per_second` times a second from then on."""

    def __init__(
        self,
        burst: int,
        per_second: float,
        *,
        callers: int = CALLERS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst, self._per_second, self._callers, self._now = burst, per_second, callers, now
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, caller: Hashable) -> float:
        """Seconds until the caller may come in; 0 when it is let in, which counts."""
        with self._lock:
            now = self._now()
            left, seen = self._buckets.pop(caller, (float(self._burst), now))
            left = min(float(self._burst), left + (now - seen) * self._per_second)
            wait = 0.0 if left >= 1 else (1 - left) / self._per_second
            self._buckets[caller] = (left if wait else left - 1, now)
            if len(self._buckets) > self._callers:
                # Who has been quiet for longest has a full bucket, or as good as one.
                self._buckets.popitem(last=False)
        return wait

    def forget(self, caller: Hashable) -> None:
        """Let the caller begin anew."""
        with self._lock:
            self._buckets.pop(caller, None)


def network_of(host: str) -> str:
    """What counts as one caller: an IPv4 address, or the /64 that a single IPv6 customer has."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))
