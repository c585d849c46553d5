"""Anaplan's Integration API v2 for one model, and nothing else (vendors/anaplan.md)."""

from mlc_dagster.anaplan.client.api import Api, open_http
from mlc_dagster.anaplan.client.catalog import Catalog
from mlc_dagster.anaplan.client.cells import Cells
from mlc_dagster.anaplan.client.files import CHUNK_BYTES, Files
from mlc_dagster.anaplan.client.tasks import Kind, Tasks
from mlc_dagster.anaplan.client.views import Views
from mlc_dagster.clock import Clock
from mlc_dagster.transport.session import Http

__all__ = ["AnaplanClient", "Kind", "open_http"]


class AnaplanClient:
    """One model of one workspace: what it has (`catalog`), its `files`, its `tasks`, its `cells` and
    its `views`.

    All methods of the parts raise transport's CallFailed: an archived, locked, offline or deployed model and
    a missing object are Misconfigured, a busy model is Again.

    `exact_chunk_count` announces the number of chunks and leaves out `/complete`, which one tenant answered
    with 500 (vendors/anaplan.md section 6).
    """

    def __init__(
        self,
        http: Http,
        workspace_id: str,
        model_id: str,
        *,
        chunk_bytes: int = CHUNK_BYTES,
        exact_chunk_count: bool = False,
    ) -> None:
        self.workspace_id, self.model_id = workspace_id, model_id
        api = Api(http, workspace_id, model_id)
        self.http = http
        self.catalog = Catalog(api)
        self.files = Files(api, chunk_bytes=chunk_bytes, exact_chunk_count=exact_chunk_count)
        self.tasks = Tasks(api)
        self.cells = Cells(api)
        self.views = Views(api)

    @property
    def clock(self) -> Clock:
        """The clock its waits use."""
        return self.http.clock
