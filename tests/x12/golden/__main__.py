"""Writes every case anew."""

from mlc_dagster.x12.writer import write
from tests.x12.cases import CASES
from tests.x12.examples import ENVELOPE
from tests.x12.golden import FOLDER

for name, (told, dialect) in CASES.items():
    (FOLDER / f"{name}.edi").write_bytes(write([told], ENVELOPE, dialect).content)
