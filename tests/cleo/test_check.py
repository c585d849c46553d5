"""What an operator is told of documents that are not accepted: the asset check and `mlc cleo status`."""

from collections.abc import Callable
from datetime import timedelta

import dagster as dg
from typer.testing import Result

from mlc_dagster.graph.answers import verdict
from mlc_sandbox.server import Sandbox
from tests.cleo.tenant import Installation, order


def test_documents_that_wait_for_their_answer_are_no_fault(ours: Installation) -> None:
    assert verdict([]).passed
    ours.deliver(order("1"))
    result = verdict(ours.standing())
    assert (result.passed, result.description) == (True, "Documents: 1 sent.")


def test_an_overdue_answer_is_a_warning_that_names_the_file(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.cleo.switches["partner_answer"] = "silent"
    ours.deliver(order("1"))
    sandbox.clock.advance(timedelta(hours=25))
    result = verdict(ours.standing())
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    (shown,) = result.metadata["documents"].records
    assert (shown.data["number"], shown.data["state"]) == ("1", "overdue")
    assert shown.data["file"].startswith("850_nordedi_NO01_000000001_")
    assert "mlc resend cleo/purchase_orders --company NO01" in result.metadata["what_to_do"].value


def test_a_rejection_is_an_error_with_the_partner_s_words(ours: Installation, sandbox: Sandbox) -> None:
    sandbox.cleo.switches["partner_answer"] = "reject_set"
    ours.deliver(order("1"), order("2"))
    ours.receive()
    result = verdict(ours.standing())
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    (shown,) = result.metadata["documents"].records
    assert shown.data["said"] == "codes 5; errors BEG at 2: code 8, element 3 code 7 (1)"


def test_the_status_command_counts_and_names(
    ours: Installation, sandbox: Sandbox, commands: Callable[..., Result]
) -> None:
    ours.deliver(order("1"))
    ours.receive()
    told = commands("status")
    assert told.exit_code == 0
    assert "cleo/purchase_orders" in told.output
    sandbox.cleo.switches["partner_answer"] = "reject_group"
    ours.deliver(order("2"))
    ours.receive()
    told = commands("status")
    assert told.exit_code == 1
    assert "mlc resend" in told.output
