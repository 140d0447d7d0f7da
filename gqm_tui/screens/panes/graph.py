"""The jobs around one job, as boxes with lines or as a tree, and what is known of the selected one."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from gqm_tui import keymap
from gqm_tui.core import fmt
from gqm_tui.core.actions import Action, allowed, job_plan, why_not
from gqm_tui.core.client import path
from gqm_tui.core.graph import MOST_BOXES, CriticalPath, Web, critical_path, job_of, web
from gqm_tui.core.graphboxes import BoxDrawing, Mesh, boxes_of
from gqm_tui.core.graphtree import TreeDrawing, TreeRow, tree_rows
from gqm_tui.core.graphwalk import box_beside, row_beside
from gqm_tui.core.graphwords import about, hidden_text, in_a_line, jobs_text, path_text
from gqm_tui.core.jobstate import retry_label
from gqm_tui.core.model import Graph, Node
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.store import PaneState
from gqm_tui.core.table import Tone
from gqm_tui.core.text import fit, fit_middle, safe
from gqm_tui.screens.panes.base import Pane, reason, rule
from gqm_tui.widgets.dag_canvas import DagCanvas
from gqm_tui.widgets.line import Line
from gqm_tui.widgets.state_view import SPINNER, StateView

DEPTH = 20
MOST_NODES = 200
_CRUMB_CELLS = 40
_DIMMED = frozenset({PaneState.STALE, PaneState.DOWN})


class GraphPane(Pane):
    """Selection, view and critical path belong to the pane; everything that is drawn is made in `core`."""

    BINDINGS: ClassVar[list[BindingType]] = keymap.scope("graph")
    scopes = ("graph",)
    name_of_view = "dag-graph"
    DEFAULT_CSS = """
    GraphPane .graph-area { height: 1fr; layers: base over; }
    GraphPane .panel { width: 44; height: 1fr; padding: 0 1; border-left: solid $gqm-rule; }
    GraphPane.-dimmed DagCanvas { tint: $surface 45%; }
    """

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self.job_id = job_id
        self.selected = job_id
        self.as_tree: bool | None = None
        self.critical = False
        self._row_key = ""
        self._read: tuple[Graph, Web] | None = None
        self._mesh: tuple[object, Mesh] | None = None
        self._frozen: tuple[Graph, float | None] | None = None
        self._title = Line(classes="title-line")
        self._canvas = DagCanvas(id="canvas")
        self._panel = Static("", markup=False, classes="panel")
        self._panel_text = Text()
        self._strip = Static("", markup=False, classes="strip")
        self._state = StateView()
        self._spin = 0
        self._revealed = False

    # What it is and what it fetches.

    @property
    def crumb(self) -> str:
        """The type of the job that was asked for, and the view."""
        graph = self.graph
        node = None if graph is None else graph.nodes.get(self.job_id)
        name = fit_middle(self.job_id, 18) if node is None else fit(node.type, _CRUMB_CELLS)
        return f"{name} › {'tree' if self.shows_tree else 'graph'}"

    def subject(self, key: keymap.Key) -> tuple[str, str]:
        """The selected job."""
        node = self.node
        return (node.id, fit(node.type, _CRUMB_CELLS)) if key.mutates and node is not None else ("", "")

    def query_text(self) -> str:
        """The job."""
        return self.job_id

    def specs(self) -> Sequence[PartSpec]:
        """The graph, walked both ways."""
        params = {"depth": DEPTH, "max_nodes": MOST_NODES}
        return (PartSpec("graph", path("dag", self.job_id, "graph"), params, Graph),)

    @property
    def _seen(self) -> tuple[Graph, float | None] | None:
        """The graph with the server's time; while frozen the ones of the moment it was frozen in."""
        graph = self.view.value("graph", Graph)
        if not self.holds or self._frozen is None:
            now = self.view.server_now(self.gqm.clock.monotonic())
            self._frozen = None if graph is None else (graph, now)
        return self._frozen

    @property
    def graph(self) -> Web | None:
        """The graph in sight, read once for each reply."""
        seen = self._seen
        if seen is None:
            return None
        if self._read is None or self._read[0] is not seen[0]:
            known = self._read
            same = known is not None and known[0] == seen[0]
            self._read = (seen[0], known[1] if same and known is not None else web(seen[0]))
        return self._read[1]

    @property
    def now(self) -> float | None:
        """The server's time of the picture."""
        seen = self._seen
        return None if seen is None else seen[1]

    @property
    def shows_tree(self) -> bool:
        """Whether the tree is shown: as chosen, else for graphs that are too large for boxes."""
        if self.as_tree is not None:
            return self.as_tree
        return self.graph is not None and len(self.graph.nodes) > MOST_BOXES

    @property
    def node(self) -> Node | None:
        """The selected job."""
        return None if self.graph is None else self.graph.nodes.get(self.selected)

    def state_now(self, *, total: int = 1, shown: int = 1) -> PaneState:
        """As every pane; a job that was never there is no outage."""
        if self.view.gone and self.view.value("graph", Graph) is None:
            return PaneState.EMPTY
        return super().state_now(total=total, shown=shown)

    # The screen.

    def compose(self) -> ComposeResult:
        """Title; canvas and panel with the state over them; strip."""
        yield self._title
        with Horizontal(classes="graph-area"):
            yield self._canvas
            yield self._panel
            yield self._state
        yield self._strip

    def focus_main(self) -> None:
        """Give the canvas the focus."""
        self.screen.set_focus(self._canvas)

    def paint(self) -> None:
        """Everything from what the view holds now."""
        if not self.is_mounted:
            return
        state = self.state_now()
        self.set_class(state in _DIMMED, "-dimmed")
        graph = self.graph
        if graph is not None and self.selected not in graph.nodes:
            self.selected = self.job_id if self.job_id in graph.nodes else next(iter(graph.nodes), "")
        self._paint_title(graph, state)
        self._paint_state(graph, state)
        if graph is not None:
            self._paint_graph(graph)
        self._paint_words(graph)
        self.gqm.footer_changed(self)

    def _paint_title(self, graph: Web | None, state: PaneState) -> None:
        left = Text(self.gqm.crumbs_before(self))
        left.append(self.crumb)
        if self.view.gone and graph is not None:
            left.append("  gone", self.tone(Tone.WARN))
        elif state is PaneState.FROZEN:
            left.append("  ‖ held", self.tone(Tone.WARN))
        right = Text()
        seen = self._seen
        if graph is not None and seen is not None:
            right.append(jobs_text(seen[0], self.gqm.signs, narrow=self.narrow))
            if hidden := hidden_text(seen[0], self._undrawn(graph)):
                right.append(" · ")
                right.append(hidden, self.tone(Tone.WARN))
            if self.critical:
                path = critical_path(graph, self.now)
                right.append(" · ")
                right.append(f"critical {fmt.duration(path.total_ms)}", self.tone(Tone.WARN))
            other = "Graph" if self.shows_tree else "Tree"
            keys = f"t {other}" if self.narrow or self.shows_tree else f"t {other}  c Critical path  z Fit"
            right.append(f" · {keys}", self.tone(Tone.DIM))
        self._title.show(left, right)

    def _undrawn(self, graph: Web) -> int:
        return 0 if self.shows_tree else self._mesh_of(graph).layout.undrawn

    def _paint_state(self, graph: Web | None, state: PaneState) -> None:
        error = self.view.error()
        self._state.display = graph is None or state in (PaneState.UNAUTHORIZED, PaneState.FORBIDDEN)
        if not self._state.display:
            self._state.hide()
        elif self.view.gone:
            self._state.show(f"There is no job {fit_middle(self.job_id, 40)}.", "esc goes back.")
        elif state is PaneState.UNAUTHORIZED and error is not None:
            self._state.show(*self.gqm.unauthorized_text(error), "error")
        elif state is PaneState.FORBIDDEN and error is not None:
            self._state.show(error.sentence, self.gqm.identity_text, "warning")
        elif error is not None:
            self._state.show(f"{error.sentence}", f"{reason(error)}; trying again, F5 tries now.", "error")
        else:
            self._spin += 1
            self._state.show(f"{SPINNER[self._spin % len(SPINNER)]} waiting for the graph")

    def _paint_graph(self, graph: Web) -> None:
        path = critical_path(graph, self.now) if self.critical else CriticalPath()
        signs = self.gqm.signs
        if self.shows_tree:
            rows = self._rows(graph)
            self._canvas.show(
                TreeDrawing(
                    graph,
                    rows,
                    signs,
                    self.now,
                    self._row_key,
                    path,
                    narrow=self.narrow,
                    cells=self.size.width - 2,
                )
            )
        else:
            self._canvas.show(BoxDrawing(graph, self._mesh_of(graph), signs, self.now, self.selected, path))
        if not self._revealed:
            self._revealed = True
            self.call_after_refresh(self._reveal)

    def _mesh_of(self, graph: Web) -> Mesh:
        """The boxes' places; made anew only when jobs or edges changed."""
        places = tuple(
            (node.id, node.type, node.layer, node.hidden_parents > 0, node.hidden_children > 0)
            for node in graph.nodes.values()
        )
        known = (places, graph.children)
        if self._mesh is None or self._mesh[0] != known:
            self._mesh = (known, Mesh.of(boxes_of(graph)))
        return self._mesh[1]

    def _rows(self, graph: Web) -> list[TreeRow]:
        """The tree; the selected row stays, or is the first one of the selected job."""
        rows = tree_rows(graph)
        if not any(row.key == self._row_key and row.id == self.selected for row in rows):
            self._row_key = next((row.key for row in rows if row.id == self.selected), "")
        return rows

    def _paint_words(self, graph: Web | None) -> None:
        node = self.node
        beside = graph is not None and node is not None and not self.shows_tree
        self._panel.display = not self.narrow and not self.shows_tree
        self._strip.set_class(beside and self.narrow, "-shown")
        if graph is None or node is None or not beside:
            return
        text = self._line(graph, node) if self.narrow else self._about(graph, node)
        if (text, text.spans) == (self._panel_text, self._panel_text.spans):
            return
        self._panel_text = text
        (self._strip if self.narrow else self._panel).update(text)

    def _about(self, graph: Web, node: Node) -> Text:
        """The panel: name, state, error, what hangs on it, what can be done."""
        text = Text()
        text.append(fit(node.type, 24), self.tone(Tone.STRONG))
        text.append(f"  {fit_middle(node.id, 18)}", self.tone(Tone.DIM))
        for words, tone in about(graph, node, self.gqm.signs, self.now):
            text.append("\n")
            text.append(words, self.tone(tone))
        if self.critical:
            path = critical_path(graph, self.now)
            text.append("\n\n")
            text.append(f"critical path {fmt.duration(path.total_ms)}", self.tone(Tone.WARN))
            text.append(f"\n{path_text(graph, path, self.now)}")
        can = self.refusal(keymap.BY_ID["graph.retry"]) is None
        text.append("\n\nenter Job", self.tone(Tone.DIM))
        text.append(f"  r {retry_label(node.status)}" if can else "", self.tone(Tone.DIM))
        return text

    def _line(self, graph: Web, node: Node) -> Text:
        """The strip: the same in one line."""
        title = Text(f"{fit(node.type, 24)} ")
        for index, (words, tone) in enumerate(in_a_line(graph, node, self.gqm.signs, self.now)):
            title.append(" · " if index else "")
            title.append(words, self.tone(tone))
        return rule(title, self.size.width - 2, self.tone(Tone.DIM))

    # Keys.

    def refusal(self, key: keymap.Key) -> str | None:
        """Besides the role: the state of the selected job."""
        locked = super().refusal(key)
        node = self.node
        if locked is not None or node is None:
            return locked
        return None if allowed(node.status, Action.RETRY) else why_not(node.status, Action.RETRY)

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """Name the other view."""
        labels = {
            "graph.view": "Graph" if self.shows_tree else "Tree",
            "graph.critical": "No path" if self.critical else "Critical path",
            "graph.retry": retry_label(self.node.status) if self.node is not None else "Retry",
        }
        wide = (
            "graph.open",
            "graph.retry",
            "graph.view",
            "graph.critical",
            "graph.fit",
            "graph.back",
            "app.help",
        )
        narrow = ("graph.open", "graph.retry", "graph.view", "graph.critical", "graph.back")
        return "", narrow if self.narrow else wide, labels

    def action_move(self, direction: str) -> None:
        """Select the next job in a direction, and bring it into view."""
        graph = self.graph
        if graph is None:
            return
        if self.shows_tree:
            row = row_beside(self._rows(graph), self._row_key, direction)
            if row is not None:
                self._row_key = row.key
                self._select(row.id)
            return
        name = box_beside(graph, self._mesh_of(graph).layout, self.selected, direction)
        if name is not None:
            self._select(name)

    def _select(self, name: str) -> None:
        self.selected = name
        self.paint()
        self._reveal()
        self.screen.refresh_bindings()

    def _reveal(self, *, centre: bool = False) -> None:
        self._canvas.reveal(self._row_key if self.shows_tree else self.selected, centre=centre)

    def action_toggle_view(self) -> None:
        """Show the tree, or boxes; the selected job stays."""
        self.as_tree = not self.shows_tree
        self._canvas.scroll_to(0, 0, animate=False, immediate=True)
        self.paint()
        self.call_after_refresh(self._reveal)
        self.screen.refresh_bindings()

    def action_critical(self) -> None:
        """Show the longest chain by duration, or not."""
        self.critical = not self.critical
        self.paint()

    def action_fit(self) -> None:
        """Bring the selected job to the middle of the view."""
        self._reveal(centre=True)

    def action_open(self) -> None:
        """Show the selected job."""
        if self.node is not None:
            self.gqm.doors.job(self.selected)

    def action_copy(self) -> None:
        """Copy the id of the selected job."""
        if self.node is not None:
            self.app.copy_to_clipboard(safe(self.selected))
            self.app.notify(f"copied {fit_middle(self.selected, 40)}", markup=False)

    def action_retry(self) -> None:
        """Retry the selected job."""
        if self.node is not None:
            self.gqm.perform(job_plan(Action.RETRY, job_of(self.node)))

    @on(DagCanvas.Picked)
    def _picked(self, event: DagCanvas.Picked) -> None:
        event.stop()
        graph = self.graph
        if graph is None:
            return
        again = event.key == (self._row_key if self.shows_tree else self.selected)
        row = (
            next((row for row in self._rows(graph) if row.key == event.key), None)
            if self.shows_tree
            else None
        )
        if row is not None:
            self._row_key = row.key
        if again:
            self.action_open()
        else:
            self._select(event.key if row is None else row.id)
