"""What is drawn commands no terminal: names of runs, logs and errors may hold anything."""

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter


class Harmless(LineFilter):
    """Leaves out control characters, which take no cell, from whatever a widget draws."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Clean the texts of a row; one that is clean stays the same object."""
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment if segment.text.isprintable() else Segment(_clean(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def _clean(text: str) -> str:
    # Of the categories that are not printable, these two are read by terminals; others, such as joiners, are letters'.
    return "".join(letter for letter in text if letter.isprintable() or not _is_control(letter))


def _is_control(letter: str) -> bool:
    code = ord(letter)
    return code < 0x20 or 0x7F <= code < 0xA0
