"""What a person does with one job: look at its sections, take them along, follow its links, change it."""

from typing import ClassVar

from textual.binding import BindingType

from gqm_tui import keymap
from gqm_tui.core.actionlog import curl
from gqm_tui.core.actions import Action, Call, allowed, job_plan, why_not
from gqm_tui.core.client import path
from gqm_tui.core.doc import JsonDoc
from gqm_tui.core.export import object_json
from gqm_tui.core.jobsections import SECTIONS
from gqm_tui.core.jobstate import retry_label
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.screens.choose import Choice, ChooseScreen
from gqm_tui.screens.panes.drawn_job import DrawnJob

_ON_JOB = {f"{action}": action for action in (Action.RETRY, Action.CANCEL, Action.DELETE)}


class JobPane(DrawnJob):
    """A job with its keys."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("job")
    scopes = ("job",)

    def subject(self, key: keymap.Key) -> tuple[str, str]:
        """The job."""
        return (self.job_id, self.crumb) if key.mutates else ("", "")

    def refusal(self, key: keymap.Key) -> str | None:
        """Besides the role: the state of the job, and that it is there."""
        locked = super().refusal(key)
        if locked is not None or key.action not in _ON_JOB:
            return locked
        if self.job is None or self.view.gone:
            return "this job is gone" if self.view.gone else "the job is not here yet"
        action = _ON_JOB[key.action]
        return None if allowed(self.job.status, action) else why_not(self.job.status, action)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what cannot be done here: no other programs in a browser, no parents of a job without any."""
        if action in ("pager", "editor"):
            return not self.app.is_web
        return super().check_action(action, parameters)

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """What can be done with this job, and where it leads."""
        job, found = self.job, self.links
        parents = sum(1 for each in found if each.relation == "parent")
        children = len(found) - parents
        labels = {
            "job.retry": retry_label(job.status if job else ""),
            "job.children": f"Children {children}",
            "job.parent": "Parent" if parents == 1 else f"Parents {parents}",
        }
        acts = [
            f"job.{name}"
            for name, action in _ON_JOB.items()
            if job is not None and allowed(job.status, action)
        ]
        if self.narrow:
            return "", (*acts[:2], "job.copy", "section.next", "job.back"), labels
        ways = [*(["job.parent"] if parents else []), *(["job.children"] if children else [])]
        rest = ["job.copy", "job.pager", *ways, "section.next"][: 6 - len(acts)]
        return "", (*acts, *rest, "job.back"), labels

    def action_section(self, step: int) -> None:
        """Show the next or the previous section, and put the focus there."""
        at = SECTIONS.index(self.section)
        self.section = SECTIONS[(at + step) % len(SECTIONS)]
        for side in self._sides:
            if self.section in side:
                self._sides[side] = self.section
        self.paint()
        self.focus_main()

    def action_reveal(self) -> None:
        """Show masked values, or mask them again."""
        self._sections.revealed = not self._sections.revealed
        self.paint()

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        for view in self._views.values():
            view.set_wrap(not view.wrap)

    def action_pager(self) -> None:
        """Open the section in the pager."""
        self.gqm.outside.page(self.doc(self.section).text, self._file_name, self._suffix)

    def action_editor(self) -> None:
        """Open a copy of the section in the editor."""
        self.gqm.outside.edit(self.doc(self.section).text, self._file_name, self._suffix)

    @property
    def _file_name(self) -> str:
        return f"{self.job_id}-{self.section.lower()}"

    @property
    def _suffix(self) -> str:
        return ".json" if isinstance(self.doc(self.section), JsonDoc) else ".txt"

    def action_copy(self) -> None:
        """Ask what to copy."""
        choices = (
            Choice("id", "Job id", fit_middle(self.job_id, 24), "i"),
            Choice("section", self.section, "as it is shown", "s"),
            Choice("json", "JSON", "the whole job", "j"),
            Choice("curl", "curl command", f"GET {fit_middle(path('jobs', self.job_id), 32)}", "c"),
        )
        self.app.push_screen(ChooseScreen("Copy", choices), self._copy)

    def _copy(self, what: str | None) -> None:
        redact = () if self._sections.revealed else self.gqm.settings.redact
        match what:
            case "id":
                self.gqm.outside.copy(fit(self.job_id, 512), "the job id")
            case "section":
                self.gqm.outside.copy(self.doc(self.section).text, f"the {self.section.lower()}")
            case "json" if self._shown_job is not None:
                self.gqm.outside.copy(object_json(self._shown_job, redact), "the job as JSON")
            case "curl":
                command = curl(self.gqm.client.origin, Call("GET", path("jobs", self.job_id)))
                self.gqm.outside.copy(command, "a curl command")

    def action_parent(self) -> None:
        """Go to the parent, or ask to which."""
        self._go("parent", "Parents")

    def action_children(self) -> None:
        """Go to the child, or ask to which."""
        self._go("child", "Children")

    def _go(self, relation: str, title: str) -> None:
        found = [each for each in self.links if each.relation == relation]
        if not found:
            self.app.notify(f"this job has no {title.lower()}", markup=False)
        elif len(found) == 1:
            self.gqm.doors.job(found[0].id)
        else:
            choices = [
                Choice(
                    each.id,
                    f"{self.gqm.signs.glyph(each.status)} {fit_middle(each.id, 23)}",
                    fit(each.type, 26),
                    tone=self.gqm.signs.tone(each.status),
                )
                for each in found
            ]
            self.app.push_screen(ChooseScreen(title, choices), self._open_link)

    def _open_link(self, job_id: str | None) -> None:
        if job_id is not None:
            self.gqm.doors.job(job_id)

    # Changes.

    def action_retry(self) -> None:
        """Retry the job; a waiting one runs now."""
        self._act(Action.RETRY)

    def action_cancel(self) -> None:
        """Cancel the job."""
        self._act(Action.CANCEL)

    def action_delete(self) -> None:
        """Delete the job; what was seen of it stays on the screen."""
        self._act(Action.DELETE)

    def _act(self, action: Action) -> None:
        if self.job is not None:
            self.gqm.perform(job_plan(action, self.job))
