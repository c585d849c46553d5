"""Jobs with every way to end, refreshes of extracts with their tasks, and flows."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
import tableauserverclient as tsc
from tableauserverclient.server.endpoint.exceptions import (
    JobCancelledException,
    JobFailedException,
    ServerResponseError,
)

from .conftest import Tenant, action, code, invoice

EXTRACT = "Exchange rates"


@pytest.fixture
def extract(tenant: Tenant) -> str:
    return tenant.world.datasource(EXTRACT).id


class TestEnds:
    @pytest.mark.parametrize("success", [0, 3])
    def test_success_has_two_codes(self, tenant: Tenant, extract: str, success: int) -> None:
        tenant.switches["success_code"] = success
        job = tenant.server.jobs.wait_for_job(tenant.server.datasources.refresh(extract), timeout=10)
        assert (job.finish_code, job.progress) == (success, "100")
        assert None not in (job.created_at, job.started_at, job.completed_at)

    @pytest.mark.parametrize("note", ["The connection was lost.", None])
    def test_a_failed_job_may_say_why(self, tenant: Tenant, extract: str, note: str | None) -> None:
        tenant.faults.arm("tableau", "job_ends", code=1, note=note)
        job = tenant.server.datasources.refresh(extract)
        tenant.end(job)
        with pytest.raises(JobFailedException) as error:
            tenant.server.jobs.wait_for_job(job)
        assert error.value.notes == ([note] if note else [])

    def test_a_job_that_failed_may_have_done_its_work(self, tenant: Tenant) -> None:
        source = tenant.published(invoice(1))
        tenant.faults.arm("tableau", "job_ends", code=1, applied=True, match="PATCH")
        job = tenant.end(tenant.update(source, [action("insert")], [invoice(2)]))
        assert (job.finish_code, len(tenant.rows())) == (1, 2)

    @pytest.mark.parametrize(
        ("finish", "error"), [(2, JobCancelledException), (7, AssertionError), (None, AssertionError)]
    )
    def test_a_job_cancelled_or_without_a_known_end_is_an_error_of_tableaus_own_client(
        self, tenant: Tenant, extract: str, finish: int | None, error: Any
    ) -> None:
        tenant.faults.arm("tableau", "job_ends", code=finish)
        job = tenant.server.datasources.refresh(extract)
        tenant.end(job)
        with pytest.raises(error):
            tenant.server.jobs.wait_for_job(job)

    @pytest.mark.parametrize("form", ["fraction", "missing"])
    def test_an_end_that_clients_cannot_read(self, tenant: Tenant, extract: str, form: str) -> None:
        tenant.faults.arm("tableau", "job_ends", code=0, completed_at=form)
        job = tenant.server.datasources.refresh(extract)
        seen = [tenant.server.jobs.get_by_id(job.id) for _ in range(3)]
        assert [one.completed_at for one in seen] == [None, None, None]
        assert seen[-1].finish_code == 0

    def test_a_job_takes_the_time_and_the_looks_it_is_told(self, tenant: Tenant) -> None:
        tenant.switches.update(job_seconds=30, job_polls=2)
        source = tenant.published(invoice(1))
        job = tenant.update(source, [action("insert")], [invoice(2)])
        assert tenant.server.jobs.get_by_id(job.id).started_at is None
        assert len(tenant.rows()) == 1
        tenant.pass_time(seconds=31)
        assert [tenant.server.jobs.get_by_id(job.id).completed_at is None for _ in range(3)] == [
            True,
            False,
            False,
        ]
        assert len(tenant.rows()) == 2

    def test_a_stuck_job_ends_when_its_time_is_over_or_by_hand(self, tenant: Tenant) -> None:
        source = tenant.published(invoice(1))
        for seconds in (100, 10_000):
            tenant.faults.arm("tableau", "job_stuck", seconds=seconds)
            tenant.update(source, [action("insert")], [invoice(2)])
        assert len(tenant.rows()) == 1
        tenant.pass_time(seconds=101)
        assert len(tenant.rows()) == 2
        assert tenant.control("POST", "/release") == {"released": 1}
        assert len(tenant.rows()) == 3

    def test_a_job_may_be_forgotten(self, tenant: Tenant, extract: str) -> None:
        job = tenant.server.datasources.refresh(extract)
        tenant.faults.arm("tableau", "job_unknown")
        with pytest.raises(ServerResponseError, match="404018"):
            tenant.server.jobs.get_by_id(job.id)
        assert tenant.server.jobs.get_by_id(job.id).id == job.id


class TestList:
    def test_the_list_has_words_of_its_own(self, tenant: Tenant, extract: str) -> None:
        tenant.end(tenant.update(tenant.published(invoice(1)), [action("insert")], [invoice(2)]))
        tenant.faults.arm("tableau", "job_ends", code=1)
        tenant.end(tenant.server.datasources.refresh(extract))
        jobs, _ = tenant.server.jobs.get()
        assert [(job.type, job.status, job.title) for job in jobs] == [
            ("update_uploaded_file", "Success", "Invoices"),
            ("refresh_extracts", "Failed", EXTRACT),
        ]
        assert [job.status for job in tenant.server.jobs.filter(job_type="refresh_extracts")] == ["Failed"]
        assert jobs[0].ended_at is not None

    def test_jobs_are_found_by_the_time_they_were_made(self, tenant: Tenant, extract: str) -> None:
        tenant.end(tenant.server.datasources.refresh(extract))
        tenant.pass_time(minutes=5)
        job = tenant.server.datasources.refresh(extract)
        since = tenant.server.jobs.get_by_id(job.id).created_at
        assert [one.id for one in tenant.server.jobs.filter(created_at__gte=since)] == [job.id]


class TestCancel:
    def test_a_refresh_is_cancelled_while_it_waits(self, tenant: Tenant, extract: str) -> None:
        tenant.switches["job_seconds"] = 60
        job = tenant.server.datasources.refresh(extract)
        tenant.server.jobs.cancel(job)
        assert tenant.end(job).finish_code == 2
        with pytest.raises(ServerResponseError, match="403091"):
            tenant.server.jobs.cancel(job)

    def test_a_data_update_cannot_be_cancelled(self, tenant: Tenant) -> None:
        source = tenant.published(invoice(1))
        tenant.switches["job_seconds"] = 60
        job = tenant.update(source, [action("insert")], [invoice(2)])
        with pytest.raises(ServerResponseError, match="403004"):
            tenant.server.jobs.cancel(job)


class TestRefresh:
    def test_a_refresh_that_is_queued_is_not_queued_again(self, tenant: Tenant, extract: str) -> None:
        tenant.switches["job_seconds"] = 60
        assert tenant.server.datasources.refresh(extract).type == "RefreshExtract"
        assert tenant.server.datasources.refresh(extract) is None
        assert code(tenant.call("POST", f"/datasources/{extract}/refresh", data="<tsRequest/>")) == "409093"

    @pytest.mark.parametrize("rule", ["job_fails", "refused"])
    def test_a_published_hyper_file_has_nothing_to_refresh_from(self, tenant: Tenant, rule: str) -> None:
        tenant.switches["refresh_of_hyper"] = rule
        source = tenant.published(invoice(1))
        if rule == "refused":
            with pytest.raises(ServerResponseError, match="400000"):
                tenant.server.datasources.refresh(source)
        else:
            assert tenant.end(tenant.server.datasources.refresh(source)).finish_code == 1

    def test_tasks_are_listed_and_run(self, tenant: Tenant, extract: str) -> None:
        [task], _ = tenant.server.tasks.get()
        assert (task.target.id, task.task_type, task.priority) == (extract, "extractRefresh", 50)
        assert task.schedule_item.interval_item.start_time == time(2)
        assert b"RefreshExtract" in tenant.server.tasks.run(task)
        [job], _ = tenant.server.jobs.get()
        assert tenant.end(job).finish_code == 0
        assert tenant.server.tasks.get_by_id(task.id).id == task.id
        tenant.server.tasks.delete(task.id)
        with pytest.raises(ServerResponseError, match="404026"):
            tenant.server.tasks.get_by_id(task.id)

    def test_a_task_counts_its_failures_until_it_succeeds(self, tenant: Tenant, extract: str) -> None:
        def failed_in_a_row() -> int:
            [task], _ = tenant.server.tasks.get()
            return task.consecutive_failed_count

        [task], _ = tenant.server.tasks.get()
        for count in (1, 2):
            tenant.faults.arm("tableau", "job_ends", code=1)
            tenant.server.tasks.run(task)
            assert failed_in_a_row() == count
        tenant.end(tenant.server.datasources.refresh(extract))
        assert failed_in_a_row() == 2, "a refresh that is not the task's says nothing of the task"
        tenant.server.tasks.run(task)
        assert failed_in_a_row() == 0

    @pytest.mark.parametrize(
        ("interval", "made"),
        [
            (tsc.DailyInterval(time(2), "Monday"), True),
            (tsc.WeeklyInterval(time(3, 5), "Friday"), True),
            (tsc.DailyInterval(time(2)), False),
            (tsc.WeeklyInterval(time(3, 7), "Friday"), False),
        ],
    )
    def test_a_task_is_made_with_a_schedule_the_service_takes(
        self, tenant: Tenant, extract: str, interval: Any, made: bool
    ) -> None:
        schedule = tsc.ScheduleItem(None, None, None, None, interval)
        target = tsc.Target(extract, "datasource")
        task = tsc.TaskItem(None, "FullRefresh", None, schedule_item=schedule, target=target)
        if made:
            assert b"RefreshExtractTask" in tenant.server.tasks.create(task)
            assert len(tenant.server.tasks.get()[0]) == 2
        else:
            with pytest.raises(ServerResponseError, match="409004"):
                tenant.server.tasks.create(task)


class TestFlows:
    def test_a_flow_runs_and_its_run_is_seen(self, tenant: Tenant) -> None:
        [flow] = tenant.server.flows.filter(name="Supplier clean-up")
        job = tenant.server.flows.refresh(flow)
        assert (job.type, job.flow_run.flow_id) == ("RunFlow", flow.id)
        assert tenant.server.jobs.wait_for_job(job, timeout=10).finish_code == 0
        run = tenant.server.flow_runs.wait_for_job(job.flow_run.id, timeout=10)
        assert (run.status, run.flow_id, run.background_job_id) == ("Success", flow.id, job.id)
        assert [one.id for one in tenant.server.flow_runs.get()] == [run.id]
        assert tenant.server.flows.get_by_id(flow.id).project_name == "default"

    def test_a_flow_is_queued_once(self, tenant: Tenant) -> None:
        tenant.switches["job_seconds"] = 60
        flow = tenant.world.id("Supplier clean-up")
        assert tenant.server.flows.refresh(flow) is not None
        assert tenant.server.flows.refresh(flow) is None
