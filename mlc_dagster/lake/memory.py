"""How Arrow uses memory in our processes: set once, before the first table."""

import sys
from importlib.abc import MetaPathFinder
from typing import Any

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    """An import system that has no pandas."""

    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname == "pandas":
            raise ImportError("not needed yet")


def spare_memory() -> None:
    """Give back what is freed, and leave pandas unloaded until somebody asks for a frame.

    Arrow's own allocators keep what was freed, by thread: a large read would need 50 MB more, for no less
    CPU. With its first value Arrow looks for pandas, once, and would load it for nothing: 40 MB and 0.3 s. A
    table that is turned into a frame still finds it.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    if "pandas" in sys.modules:
        return
    without = _NoPandas()
    sys.meta_path.insert(0, without)
    try:
        pa.scalar(0)
    finally:
        sys.meta_path.remove(without)
