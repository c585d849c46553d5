"""A plain view of projects and their tasks for a browser: /asana/view/."""

from __future__ import annotations

from html import escape

from mlc_sandbox.asana.store import Project, Section, Story, Task, User
from mlc_sandbox.asana.values import FieldOnTask, display
from mlc_sandbox.asana.world import World

_STYLE = """
:root { color-scheme: light dark; --page: #f5f4f3; --card: #fff; --text: #1e1f21; --quiet: #6d6e6f;
  --line: #e3e1df; --done: #3f8f5f; --chip: #eeecea; }
@media (prefers-color-scheme: dark) { :root { --page: #1e1f21; --card: #2a2b2d; --text: #f5f4f3;
  --quiet: #a2a0a2; --line: #424244; --done: #6fc492; --chip: #3a3b3d; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 24px; background: var(--page); color: var(--text);
  font: 14px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
a { color: inherit; } h1 { margin: 0 0 4px; font-size: 22px; }
header p { margin: 0 0 20px; color: var(--quiet); }
.board { display: flex; gap: 16px; align-items: flex-start; overflow-x: auto; padding-bottom: 16px; }
section { flex: 0 0 300px; } h2 { margin: 0 0 10px; font-size: 15px; }
h2 small, .quiet { color: var(--quiet); font-weight: normal; }
article, .projects a { display: block; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 12px 14px; margin-bottom: 10px; overflow-wrap: anywhere; }
.projects { max-width: 560px; } .projects a { text-decoration: none; }
h3 { margin: 0 0 8px; font-size: 14px; } .done h3 { color: var(--quiet); }
.done h3::before { content: "\\2713  "; color: var(--done); }
dl { display: grid; grid-template-columns: minmax(80px, 40%) 1fr; gap: 3px 10px;
  margin: 0 0 10px; font-size: 12.5px; }
dt { color: var(--quiet); } dd { margin: 0; }
dd.number { font-variant-numeric: tabular-nums; }
footer { display: flex; flex-wrap: wrap; justify-content: space-between;
  gap: 4px 8px; font-size: 12.5px; color: var(--quiet); }
.chip { background: var(--chip); border-radius: 10px; padding: 0 8px; white-space: nowrap; }
"""


class Board:
    """Pages without scripts; every text from a task is escaped."""

    def __init__(self, world: World) -> None:
        self.world = world

    def projects(self) -> str:
        """All projects with the number of their tasks."""
        with self.world.lock:
            rows = [
                f'<a href="projects/{project.gid}"><strong>{escape(project.name)}</strong>'
                f'<br><span class="quiet">{self._counted(project)}</span></a>'
                for project in self.world.all(Project)
            ]
            title = self.world.workspace.name
        return _page(title, "Projects", f'<div class="projects">{"".join(rows)}</div>')

    def project(self, gid: str) -> str:
        """One project as a board. Raises KeyError."""
        with self.world.lock:
            project: Project | None = self.world.get(Project, gid)
            if project is None:
                raise KeyError(f"There is no project {gid}.")
            columns = [self._column(self.world.get(Section, section)) for section in project.sections]
            about = f'<a href="../">All projects</a> &middot; {self._counted(project)}'
            return _page(project.name, about, f'<div class="board">{"".join(columns)}</div>')

    def _counted(self, project: Project) -> str:
        tasks = self.world.tasks_in(project.sections)
        done = sum(task.completed for task in tasks)
        return f"{len(tasks)} tasks, {done} completed"

    def _column(self, section: Section) -> str:
        tasks = self.world.tasks_in([section.gid])
        cards = "".join(self._card(task) for task in tasks)
        return f"<section><h2>{escape(section.name)} <small>{len(tasks)}</small></h2>{cards}</section>"

    def _card(self, task: Task) -> str:
        fields = "".join(self._line(found) for found in self.world.fields_of(task))
        person: User | None = self.world.get(User, task.assignee)
        who = '<span class="quiet">No assignee</span>' if person is None else escape(person.name)
        facts = [f"due {task.due_on.isoformat()}"] if task.due_on else []
        subtasks = [gid for gid in task.subtasks if self.world.get(Task, gid).trashed is None]
        comments = sum(self.world.get(Story, gid).is_comment for gid in task.stories)
        facts += [_number_of(len(subtasks), "subtask"), _number_of(comments, "comment")]
        shown = " &middot; ".join(filter(None, facts))
        return (
            f'<article class="{"done" if task.completed else "open"}"><h3>{escape(task.name)}</h3>'
            f"{f'<dl>{fields}</dl>' if fields else ''}"
            f'<footer><span class="chip">{who}</span><span>{shown}</span></footer>'
            "</article>"
        )

    def _line(self, found: FieldOnTask) -> str:
        text = display(found, self.world.name_of)
        if text is None:
            return ""
        if found.field.currency and found.field.format == "currency":
            text = f"{found.field.currency} {text}"
        kind = "number" if found.field.kind == "number" else "text"
        return f'<dt>{escape(found.field.name)}</dt><dd class="{kind}">{escape(text)}</dd>'


def _number_of(count: int, what: str) -> str:
    """Nothing for none."""
    return f"{count} {what}{'s' if count > 1 else ''}" if count else ""


def _page(title: str, about: str, body: str) -> str:
    """`title` is text; `about` and `body` are HTML."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><header><h1>{escape(title)}</h1><p>{about}</p></header>"
        f"{body}</body></html>"
    )
