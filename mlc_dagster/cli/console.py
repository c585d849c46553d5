"""The terminal as the commands see it: wide enough for a table where there is no terminal to ask."""

from rich.console import Console

WIDTH = 140

console = Console(highlight=False, markup=False, soft_wrap=True)
if not console.is_terminal:
    console = Console(highlight=False, markup=False, soft_wrap=True, width=WIDTH)
