"""What can be done on every screen: help, colours, copying, looking at files, leaving."""

import os
import shlex
import subprocess
import time
from pathlib import Path

from textual import work
from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingsMap
from textual.screen import Screen

from workbench import attention, clipboard, failures, keys, settings, themes
from workbench.run_actions import RunActions
from workbench.screens._base import WorkbenchScreen

TWICE_S = 1.0
"""Seconds within which a key that wants a second press must get it."""


class Everywhere(RunActions):
    """The part of the app that does not depend on the screen."""

    _pressed_s = float("-inf")

    def use_keys(self) -> None:
        """Take up the keys of the settings; those of dialogs and widgets follow as they open."""
        if self.settings.key_preset == "vim":
            self._bindings = BindingsMap.merge([self._bindings, BindingsMap(keys.VIM)])
        self.set_keymap(keys.keymap(self.settings.keys, self.settings.key_preset))

    def get_key_display(self, binding: Binding) -> str:
        """Write a capital letter in one way, however the terminal sends it."""
        return super().get_key_display(binding.with_key(keys.normal(binding.key), binding.key_display))

    def on_ready(self) -> None:
        """Tell what was wrong with the settings, now that there is a place to tell it."""
        if self.settings.keys:
            self._check_keys()
        else:
            self.tell_problems()

    @work(thread=True, exit_on_error=False, group="keys")
    def _check_keys(self) -> None:
        found = keys.problems(self.settings.keys, self.settings.key_preset)
        self.call_from_thread(self._use_right_keys, found)

    def _use_right_keys(self, wrong: list[tuple[str, str]]) -> None:
        """Leave out the keys that something is wrong with, and tell."""
        if wrong:
            names = {name for name, _ in wrong}
            right = {name: chosen for name, chosen in self.settings.keys.items() if name not in names}
            self.set_keymap(keys.keymap(right, self.settings.key_preset))
        self.tell_problems([sentence for _, sentence in wrong])

    def tell_problems(self, more: list[str] | None = None) -> None:
        """Show all that was wrong with the settings in one dialog."""
        told = [*self.problems, *(more or [])]
        if told:
            from workbench.modals.error import ErrorModal

            path = settings.config_path()
            text = "\n\n".join(told) + f"\n\nThe defaults stand in. To change them: pqd-workbench config edit ({path})"
            self.push_screen(ErrorModal("settings that are not used", text))

    def action_help(self) -> None:
        """Show every key of this screen."""
        from workbench.modals.help import HelpModal

        self.push_screen(HelpModal(self.screen))

    def action_context_help(self) -> None:
        """Explain what has the focus."""
        from workbench.modals.about import explain
        from workbench.modals.text import TextModal

        self.push_screen(TextModal(*explain(self.screen)))

    def action_theme(self) -> None:
        """Choose other colours."""
        from workbench.modals.choose import Choice, ChooseModal

        names = [theme.name for theme in themes.ours] + sorted(
            set(self.available_themes) - {t.name for t in themes.ours}
        )
        before = self.theme
        choices = [Choice(name=name, about="the one in use" if name == before else "") for name in names]

        def take(name: str | None) -> None:
            if name:
                self.use_theme(name)

        hint = "enter choose   esc back"
        self.push_screen(ChooseModal("theme", choices, hint=hint, is_short=True), take)

    def use_theme(self, name: str) -> None:
        """Change the colours now, and for the sessions to come where the settings leave it open."""
        self.theme = name
        self.everywhere.put("theme", name)

    def action_copy(self) -> None:
        """Choose what of the chosen runs to copy."""
        from workbench import copying
        from workbench.modals.choose import Choice, ChooseModal

        rows = self.shelf.chosen
        if not rows:
            self.say("There is no run to copy anything of; press 2 to compose one.", is_error=True)
            return
        offers = {offer.name: offer for offer in copying.offers(rows, self.store)}
        title = f"copy of {rows[0].name}" if len(rows) == 1 else f"copy of {len(rows)} runs"

        def take(name: str | None) -> None:
            if name:
                with self.telling_errors("Not copied: "):
                    self.copy_to_clipboard(offers[name].text())

        choices = [Choice(name=offer.name, about=offer.preview) for offer in offers.values()]
        self.push_screen(ChooseModal(title, choices, hint="enter copy   esc back", is_short=True), take)

    def copy_to_clipboard(self, text: str) -> None:
        """Give a text to the terminal, and keep it in a file."""
        self._clipboard = text
        sent = clipboard.sequence(text)
        if sent:
            self._send(sent)
        self._keep_copy(text, bool(sent))

    @work(thread=True, exit_on_error=False, group="copy")
    def _keep_copy(self, text: str, is_sent: bool) -> None:
        path = clipboard.keep(text)
        first = text.strip().partition("\n")[0]
        short = first if len(first) <= 40 else f"{first[:40]}..."
        if is_sent:
            said = f"Copied: {short}" + (f" (also in {path})" if path else "")
        else:
            said = f"Too long for a terminal's clipboard; it is in {path}." if path else "Too long to copy."
        self.call_from_thread(self.say, said, is_error=not is_sent and path is None)

    def action_doctor(self) -> None:
        """Look over this machine, the store and the terminal."""
        from workbench.modals.doctor import DoctorModal

        self.push_screen(DoctorModal())

    def action_screenshot_svg(self) -> None:
        """Write the screen as a picture."""
        name = f"pqd-workbench {time.strftime('%Y-%m-%d %H.%M.%S')}.svg"
        with self.telling_errors("Not written: "):
            self.say(f"Written: {self.save_screenshot(name, str(self._pictures()))}")

    def _pictures(self) -> Path:
        self.settings.export_folder.mkdir(parents=True, exist_ok=True)
        return self.settings.export_folder

    def action_open_config(self) -> None:
        """Edit the settings in the person's editor."""
        from workbench.config_file import sample

        path = settings.config_path()
        with self.telling_errors("Not opened: "):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(sample(), encoding="utf-8")
            if self.outside([*shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"), str(path)]):
                problems = settings.load().problems
                self.say(
                    problems[0] if problems else "The settings hold from the next start on.", is_error=bool(problems)
                )

    def action_open_log(self) -> None:
        """Read what the selected run printed in the person's pager."""
        row = self.shelf.current
        if row is not None:
            self._page(self.store.run(row.id).log_path)

    def action_open_own_log(self) -> None:
        """Read the workbench's own log in the person's pager."""
        self._page(failures.log_path())

    def _page(self, path: Path) -> None:
        if not path.exists():
            self.say(f"There is no {path}: nothing was written to it.")
            return
        with self.telling_errors("Not opened: "):
            self.outside([*shlex.split(os.environ.get("PAGER") or "less"), str(path)])

    def outside(self, command: list[str]) -> bool:
        """Leave the terminal to a program until it ends; gives whether it could be done."""
        try:
            with self.suspend():
                subprocess.run(command, check=False)
        except SuspendNotSupported:
            self.say(f"This terminal cannot be lent to another program; open {command[-1]} yourself.", is_error=True)
            return False
        self.refresh()
        return True

    async def action_quit(self) -> None:
        """Leave at once where nothing would be lost, else ask."""
        unsaved = [screen.unsaved for screen in self._all_screens() if isinstance(screen, WorkbenchScreen)]
        lost = ", ".join(dict.fromkeys(what for what in unsaved if what))
        if not lost:
            self.exit()
            return
        from workbench.modals.confirm import ConfirmModal

        def leave(answer: bool | None) -> None:
            if answer:
                self.exit()

        detail = f"Not saved: {lost}.\nRuns go on either way."
        self.push_screen(ConfirmModal("leave without saving?", detail, yes="leave", no="stay"), leave)

    def _all_screens(self) -> list[Screen[object]]:
        return [screen for stack in self._screen_stacks.values() for screen in stack]

    def farewell(self) -> str:
        """Say which runs go on; for the shell, after the app."""
        return attention.farewell((self.shelf.rows or {}).values())

    def action_press(self, key: str) -> None:
        """Act as if another key had been pressed."""
        self.simulate_key(key)

    def action_top(self) -> None:
        """Go to the first line at the second press."""
        now = time.monotonic()
        before, self._pressed_s = self._pressed_s, now
        if now - before <= TWICE_S:
            self._pressed_s = float("-inf")
            self.action_press("home")

    def action_end(self) -> None:
        """Go to the last line."""
        self.action_press("end")

    async def compose_preset(self, name: str) -> None:
        """Begin in Compose with a preset."""
        screen = await self.compose_screen()
        screen.call_later(screen.load_preset, name)
