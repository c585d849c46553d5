"""The section of the Asana pair."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlc_dagster.settings.section import ExactUrl, PairSettings, SecretValue, Section, Shape, Url

Gid = Annotated[str, Shape(r"^[0-9]{1,25}$", "a number, as the address in the browser shows it")]
# What people may work with on a board; everything else of a task is the ERP's.
Part = Literal["name", "notes", "due_on", "assignee", "completed", "section"]
SHARED: tuple[Part, ...] = ("name", "assignee", "completed", "section")


class AsanaToken(Section):
    """A personal access token, or the token of a service account."""

    method: Literal["pat"]
    token: SecretValue


class AsanaOAuth(Section):
    """OAuth 2.0 after `mlc asana login`. `redirect_uri` is the registered one."""

    method: Literal["oauth"]
    client_id: SecretValue
    client_secret: SecretValue
    redirect_uri: ExactUrl


class WayBack(Section):
    """What goes from a task back into the note of its document in the ERP, and nowhere else.

    `comments`: what people write at the task. `fields`: people's own custom fields, by their name in Asana.
    """

    comments: bool = True
    fields: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.comments or self.fields):
            raise ValueError("nothing is switched on: leave `way_back` out, or name what goes back")
        return self


class AsanaDestination(Section):
    """Where the tasks of one model go and who owns what of them.

    Either one `project`, or `project_by`: a project for each supplier, branch or ERP project, made when it is
    first needed, in `team`, from the `template` where one is named. `people_may_change` names the parts that
    are written only while they still show what was written last. `lines`: a table in the notes, a subtask for
    each line, or none.
    """

    project: Gid | None = None
    project_by: Literal["supplier", "branch", "erp_project"] | None = None
    team: Gid | None = None
    template: Gid | None = None
    people_may_change: tuple[Part, ...] = SHARED
    lines: Literal["notes", "subtasks", "none"] = "notes"
    way_back: WayBack | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.project is None) == (self.project_by is None):
            raise ValueError("name either the `project` or `project_by`")
        if self.project_by and self.team is None:
            raise ValueError("`project_by` makes projects, and they need a `team`")
        if self.template and not self.project_by:
            raise ValueError("a `template` is for the projects that `project_by` makes")
        return self


class AsanaSettings(PairSettings):
    """Visma to Asana (vendors/asana.md sections 1, 2, 4 and 10).

    `calls_per_minute` is 150 in a free workspace.
    """

    api_url: Url = "https://app.asana.com/api/1.0"
    oauth_url: Url = "https://app.asana.com/-"
    auth: Annotated[AsanaToken | AsanaOAuth, Field(discriminator="method")]
    workspace: Gid
    calls_per_minute: int = Field(default=1500, ge=1)
    destinations: dict[str, AsanaDestination] = Field(min_length=1)

    def names(self) -> list[str]:
        """The destinations that are switched on: lines that are subtasks have one of their own."""
        lines = [lines_of(name) for name, part in self.destinations.items() if part.lines == "subtasks"]
        return [*self.destinations, *lines]

    def proven(self) -> list[str]:
        """Those of them that are read back after a delivery."""
        return list(self.destinations)


def lines_of(model: str) -> str:
    """The model of the lines of purchase_orders is purchase_order_lines."""
    return f"{model.removesuffix('s')}_lines"
