"""Stories: comments, and what the system noted (vendors/asana.md section 14)."""

from __future__ import annotations

from typing import Any

from mlc_sandbox.asana import html
from mlc_sandbox.asana.calls import ApiCall, Reply, nothing
from mlc_sandbox.asana.errors import ApiError, bad
from mlc_sandbox.asana.http import Gate
from mlc_sandbox.asana.store import Story, Task
from mlc_sandbox.asana.tasks import Tasks
from mlc_sandbox.asana.world import World


class StoryRoutes:
    """/tasks/{gid}/stories and /stories/{gid}."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world, self.tasks = world, Tasks(world)
        gate.add("/tasks/{task}/stories", GET=self._list, POST=self._create)
        gate.add("/stories/{story}", GET=self._get, PUT=self._update, DELETE=self._delete)

    def _list(self, call: ApiCall) -> Reply:
        task = self.world.task(call.ids["task"], call.actor)
        return call.listing([self.world.get(Story, gid) for gid in task.stories])

    def _create(self, call: ApiCall) -> Reply:
        task = self.world.task(call.ids["task"], call.actor)
        text, rich = _text(call.data)
        call.only("text", "html_text", "is_pinned")
        story = self.tasks.comment(call.actor, task, text, rich)
        story.pinned = bool(call.data.get("is_pinned", False))
        return call.created(story, "stories")

    def _story(self, call: ApiCall) -> Story:
        story = self.world.in_path(Story, call.ids["story"], call.actor)
        self.world.task(story.task, call.actor)
        return story

    def _get(self, call: ApiCall) -> Reply:
        return call.one(self._story(call))

    def _own(self, call: ApiCall) -> Story:
        """Only the author changes a comment, and nobody what the system wrote."""
        story = self._story(call)
        if not story.is_comment or story.created_by != call.actor.user:
            raise ApiError(403, "You do not have access to edit this story.")
        return story

    def _update(self, call: ApiCall) -> Reply:
        call.only("text", "html_text", "is_pinned")
        story = self._own(call)
        if "text" in call.data or "html_text" in call.data:
            story.text, story.html = _text(call.data)
            story.edited = True
        story.pinned = bool(call.data.get("is_pinned", story.pinned))
        task = self.world.get(Task, story.task)
        self.world.record(call.actor, "changed", story, parent=task)
        self.world.touched(task)
        return call.one(story)

    def _delete(self, call: ApiCall) -> Reply:
        story = self._own(call)
        task = self.world.get(Task, story.task)
        self.world.record(call.actor, "deleted", story, parent=task)
        task.stories.remove(story.gid)
        self.world.remove(story)
        return nothing()


def _text(data: dict[str, Any]) -> tuple[str, str | None]:
    """The plain text, and the rich one it came from. Raises ApiError 400 unless exactly one is given."""
    if ("text" in data) == ("html_text" in data):
        raise bad("Must specify exactly one of text or html_text")
    if "text" in data:
        return data["text"], None
    return html.plain("html_text", data["html_text"]), data["html_text"]
