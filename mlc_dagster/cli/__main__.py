"""`python -m mlc_dagster.cli`: the `mlc` command without an installed script."""

from mlc_dagster.cli.main import main

main()
