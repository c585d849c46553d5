"""What the cases look like as bytes. `python -m tests.x12.golden` writes them anew, to be read before it is
committed.
"""

from pathlib import Path

FOLDER = Path(__file__).parent


def golden(name: str) -> bytes:
    return (FOLDER / f"{name}.edi").read_bytes()
