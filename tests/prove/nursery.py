"""What every process of the campaign needs, loaded once: campaign.py forks its processes from here.

Nothing here may open a connection or start work: a fork would take half of it along.
"""

import alembic.command  # noqa: F401
import pyarrow.dataset  # noqa: F401
import sqlglot  # noqa: F401
import tableauhyperapi  # noqa: F401

import mlc_dagster.anaplan.connect
import mlc_dagster.asana.connect
import mlc_dagster.cleo.connect
import mlc_dagster.powerbi.connect
import mlc_dagster.tableau.connect  # noqa: F401
import tests.prove.worker  # noqa: F401
from mlc_dagster.settings.whole import REPOSITORY
from mlc_dagster.suite import mappings_in

mappings_in(REPOSITORY / "dbt_like_mappings")
