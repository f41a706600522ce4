"""Type a folder with completion, look for one in a tree, or make one."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from rich.text import Text, TextType
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import DirectoryTree, Input, Static
from textual.worker import get_current_worker

from workbench import exporting
from workbench.exporting import Place
from workbench.modals.base import Modal


class Folders(Suggester):
    """Completes the folder that is typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Read the disk in a thread."""
        return await asyncio.to_thread(exporting.complete, value)


class FolderTree(DirectoryTree):
    """Folders alone, hidden ones left out; names are never markup."""

    ICON_NODE = "+ "
    ICON_NODE_EXPANDED = "- "
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "open", "open", id="open", show=False, tooltip="Show what lies in the folder"),
        Binding("left", "shut", "shut", id="shut", show=False, tooltip="Hide what lies in the folder, or go above it"),
        Binding("j", "cursor_down", "down", id="down", show=False, tooltip="The folder below"),
        Binding("k", "cursor_up", "up", id="up", show=False, tooltip="The folder above"),
    ]

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Keep the folders."""
        return [path for path in paths if not path.name.startswith(".") and _is_folder(path)]

    def process_label(self, label: TextType) -> Text:
        """Take a name letter by letter."""
        return Text(label.replace("\n", " ")) if isinstance(label, str) else label

    def action_open(self) -> None:
        """Show what lies in the folder."""
        if self.cursor_node is not None:
            self.cursor_node.expand()

    def action_shut(self) -> None:
        """Hide what lies in the folder; where it is hidden, go to the one around it."""
        node = self.cursor_node
        if node is not None and node.is_expanded and node.parent is not None:
            node.collapse()
        elif node is not None and node.parent is not None:
            self.move_cursor(node.parent)


class FolderModal(Modal[Path]):
    """Gives the folder back that was chosen."""

    class Looked(Message):
        """The folder under the cursor was looked at."""

        def __init__(self, place: Place) -> None:
            super().__init__()
            self.place = place

    # The app's own rules for dialogs weigh more than DEFAULT_CSS.
    CSS = """
    FolderModal .dialog { width: 78; height: 96%; }
    FolderModal.-wide .dialog { width: 110; height: 80%; }
    """
    DEFAULT_CSS = """
    FolderModal {
        FolderTree { height: 1fr; background: $background; padding: 0; scrollbar-size-vertical: 1; }
        #path { height: auto; }
        #free { height: 1; color: $text-muted; }
        #new { display: none; }
        #problem { height: auto; color: $text-error; }
        &.-making #new { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "above", "above", id="above", tooltip="Begin one folder further up"),
        Binding("n", "make", "new folder", id="new-folder", tooltip="Make a folder in this one and take it"),
    ]

    def __init__(self, begin: Path) -> None:
        super().__init__()
        self._begin = next((path for path in (begin, *begin.parents) if _is_folder(path)), Path("/"))

    def compose(self) -> ComposeResult:
        """Build the tree."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "export into"
            dialog.border_subtitle = "enter take it  right open  u up  n new  esc back"
            tree = FolderTree(self._begin)
            tree.auto_expand = False
            yield tree
            yield Static(id="path")
            yield Static(id="free", markup=False)
            yield Input(placeholder="name of the new folder", id="new", compact=True)
            yield Static(id="problem")

    def on_mount(self) -> None:
        """Stand on the folder from which one comes."""
        self.query_one(FolderTree).focus()
        self._show(self._begin)

    @property
    def current(self) -> Path:
        """The folder under the cursor."""
        node = self.query_one(FolderTree).cursor_node
        return node.data.path if node is not None and node.data is not None else self._begin

    @on(FolderTree.NodeHighlighted)
    def show_highlighted(self) -> None:
        """Show the path under the cursor."""
        self._show(self.current)

    def _show(self, path: Path) -> None:
        self.query_one("#path", Static).update(Content(str(path)))
        self._look(path)

    @work(thread=True, exit_on_error=False, exclusive=True, group="look")
    def _look(self, path: Path) -> None:
        place = exporting.look(path, ())
        if not get_current_worker().is_cancelled:
            self.post_message(self.Looked(place))

    @on(Looked)
    def take_place(self, event: Looked) -> None:
        """Show what is free there, or why nothing can be written."""
        place = event.place
        free = "" if place.free_bytes is None else f"{place.free_bytes / 2**30:,.1f} GiB free"
        self.query_one("#free", Static).update(free)
        self.query_one("#problem", Static).update(Content(place.problem))

    @on(FolderTree.DirectorySelected)
    def choose(self, event: FolderTree.DirectorySelected) -> None:
        """Give the folder back."""
        self.dismiss(event.path)

    def action_above(self) -> None:
        """Begin one folder further up."""
        tree = self.query_one(FolderTree)
        tree.path = Path(tree.path).parent

    def action_make(self) -> None:
        """Ask for the name of a new folder."""
        self.add_class("-making")
        self.query_one("#new").focus()

    def action_close(self) -> None:
        """Leave the name, else close."""
        if self.has_class("-making"):
            self._stop_making()
        else:
            self.dismiss(None)

    def _stop_making(self) -> None:
        self.remove_class("-making")
        self.query_one("#new", Input).value = ""
        self.query_one(FolderTree).focus()

    @on(Input.Submitted)
    def make_folder(self, event: Input.Submitted) -> None:
        """Make the folder and give it back."""
        made = self.current / event.value.strip()
        problem = ""
        if not event.value.strip() or "/" in event.value:
            problem = "Type a name without a slash."
        else:
            try:
                made.mkdir()
            except (OSError, ValueError) as error:
                problem = f"{str(made)!r} cannot be made: {getattr(error, 'strerror', None) or error}."
        if problem:
            self.query_one("#problem", Static).update(Content(problem))
            return
        self.dismiss(made)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
