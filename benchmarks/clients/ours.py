"""Ours: what a materialization of `visma/<entity>` does, in its own process: `ours.py COMPANY [ENTITY ...]`.

It tells about the last entity; by default there is one, supplier_invoices.
"""

import sys
from time import perf_counter, process_time

from bare import tell

from mlc_dagster.flow import read
from mlc_dagster.outlook import first_open_day, span, today
from mlc_dagster.settings import load_settings
from mlc_dagster.suite import Suite
from mlc_dagster.visma.entities import ENTITIES

company, names = sys.argv[1], sys.argv[2:] or ["supplier_invoices"]
wall, cpu = perf_counter(), process_time()
suite = Suite(load_settings())
last = today(suite)
for entity in map(ENTITIES.__getitem__, names):
    days = span(first_open_day(suite, entity, company, last), last)
    report = read(suite, entity, company, days, run_id="benchmark")
tell(
    rows=report.read,
    changed=report.changed,
    quarantined=len(report.quarantined),
    passes=report.passes,
    engine_wall=perf_counter() - wall,
    engine_cpu=process_time() - cpu,
)
