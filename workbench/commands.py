"""The command palette: every action of the screen and of everywhere, and runs, presets and themes by their names."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct
from textual.actions import parse
from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher
from textual.screen import Screen

if TYPE_CHECKING:
    from workbench.app import Workbench

MOST_RUNS = 5000
"""Runs that are searched by name."""
AT_ONCE = 200
"""Candidates that are matched before the keyboard is listened to again."""


class Command(Struct, frozen=True):
    """One line of the palette."""

    text: str
    """What is matched."""
    about: str
    """Shown below it."""
    do: Callable[[], Any]
    is_shown_first: bool = True
    """It stands in the list before anything is typed."""


class Commands(Provider):
    """Finds commands by a few of their letters."""

    @property
    def workbench(self) -> "Workbench":
        """The app."""
        return cast("Workbench", self.app)

    async def discover(self) -> Hits:
        """List what can be done here."""
        for command in self._actions():
            if command.is_shown_first:
                yield DiscoveryHit(
                    cast("str", Content(command.text)), command.do, text=command.text, help=command.about
                )

    async def search(self, query: str) -> Hits:
        """Find among everything."""
        matcher = Matcher(query, case_sensitive=False)
        for count, command in enumerate(self._all()):
            if count % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            score, offsets = matcher.fuzzy_search.match(query, command.text)
            if score > 0:
                shown = Content(command.text)
                for offset in offsets:
                    shown = shown.stylize(matcher.match_style, offset, offset + 1)
                yield Hit(score, shown, command.do, text=command.text, help=command.about)

    def _all(self) -> Iterator[Command]:
        yield from self._actions()
        yield from self._runs()
        yield from self._presets()
        app = self.workbench
        for name in sorted(app.available_themes):
            yield Command(f"theme {name}", "Use these colours", partial(app.use_theme, name))

    def _actions(self) -> Iterator[Command]:
        app, told = self.workbench, set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            namespace, name, parameters = parse(binding.action)
            does = {"app": app, "screen": self.screen}.get(namespace, active.node), name, parameters
            if not binding.id or does in told or name == "command_palette":
                continue
            told.add(does)
            opens = binding.action.partition("switch_mode('")[2].partition("'")[0]
            text = f"go to {binding.description}" if opens else binding.description
            about = f"{app.get_key_display(binding)}  {binding.tooltip}"
            # Moving about is what nobody looks for.
            is_first = isinstance(active.node, App | Screen) and not (binding.id or "").startswith("vim-")
            yield Command(text, about, partial(app.run_action, binding.action, active.node), is_first)
        yield Command("settings", "Open config.toml in the editor ($EDITOR)", app.action_open_config)
        yield Command("open the run's log", "What the run printed, in the pager ($PAGER)", app.action_open_log)
        yield Command("open the workbench's log", "Its own errors, in the pager ($PAGER)", app.action_open_own_log)
        yield Command("picture of the screen", "Write it as SVG to the exports", app.action_screenshot_svg)

    def _runs(self) -> Iterator[Command]:
        app = self.workbench
        for row in list((app.shelf.rows or {}).values())[:MOST_RUNS]:
            about = f"{row.id}  {row.backbone} on {row.dataset}, {row.status.value}"
            yield Command(f"run {row.name}", about, partial(app.select, row.id))

    def _presets(self) -> Iterator[Command]:
        from pipeline import presets

        app = self.workbench
        for name, path in presets.presets(app.saved).items():
            yield Command(f"preset {name}", f"Compose from {path}", partial(app.compose_preset, name))
