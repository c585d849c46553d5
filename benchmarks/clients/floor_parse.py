"""Floor 1: read every page and parse its JSON. Nothing is kept: `floor_parse.py ERP`."""

import sys

from bare import Erp, tell

rows = sum(Erp(sys.argv[1]).pages(lambda _, records: len(records)))
tell(rows=rows, changed=rows)
