"""What all vendors' switches have in common: known names, fitting values, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar


class BaseSwitches(dict[str, Any]):
    """The switches by name; an unknown name or a wrong kind of value is a ValueError that says what fits.

    A vendor's own class names the `defaults`, and the `choices` of those that take one of a few values.
    """

    defaults: ClassVar[Mapping[str, Any]] = {}
    choices: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(deepcopy(dict(self.defaults)))
        self.update(values or {})

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self.defaults:
            raise ValueError(f"no switch {name!r}; known: {', '.join(sorted(self.defaults))}")
        if type(value) is not type(self.defaults[name]):
            raise ValueError(f"switch {name!r} takes {type(self.defaults[name]).__name__}, not {value!r}")
        if name in self.choices and value not in self.choices[name]:
            one_of = ", ".join(map(str, self.choices[name]))
            raise ValueError(f"switch {name!r} is one of {one_of}, not {value!r}")
        super().__setitem__(name, value)

    def update(self, values: Mapping[str, Any] = {}, /, **more: Any) -> None:  # type: ignore[override]
        """Set several; nothing is set when one of them is wrong."""
        wanted = {**values, **more}
        before = dict(self)
        try:
            for name, value in wanted.items():
                self[name] = value
        except ValueError:
            super().update(before)
            raise

    def limit(self, name: str) -> float:
        """A limit by name; infinite when it is 0, or when the switch `limits` is off."""
        value: float = self[name]
        return value if self.get("limits", True) and value else float("inf")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)
