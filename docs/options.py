"""Write docs/options.md from the declarations: every key of a recipe, what it may be, its default, what it does.

uv run python docs/options.py
"""

from pathlib import Path

from msgspec import Struct

from pipeline import catalog, files
from pipeline.options import Option, options_of
from pipeline.sections import Baseline, Measure, Training

page = Path(__file__).with_suffix(".md")
head = """# Every option

Written by `docs/options.py` from the declarations that the program itself reads.
"""


def text() -> str:
    """Give the page."""
    sections: list[tuple[str, type[Struct]]] = [
        ("[baseline]", Baseline),
        ("[training]", Training),
        ("[measure]", Measure),
        *((f"stage {name}", catalog.load("stages", name)) for name in catalog.names("stages")),
        *((f"dataset {name}", catalog.load("datasets", name)) for name in catalog.names("datasets")),
    ]
    return "\n".join([head, *(_section(title, record) for title, record in sections)])


def _section(title: str, record: type[Struct]) -> str:
    rows = [_row(option) for option in options_of(record)]
    if not rows:
        return f"## {title}\n\nNo options.\n"
    return "\n".join([f"## {title}", "", "| key | may be | default | what it is |", "|---|---|---|---|", *rows, ""])


def _row(option: Option) -> str:
    allowed = f"{option.allowed()} ({option.unit})" if option.unit else option.allowed()
    cells = (f"`{option.name}`", allowed, _default(option), option.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(option: Option) -> str:
    if option.required:
        return "must be given"
    match option.default:
        case None | () | {} | []:
            return "none"
        case bool():
            return str(option.default).lower()
        case float():
            return f"{option.default:g}"
        case tuple() | list():
            return ", ".join(map(str, option.default))
        case _:
            return str(option.default)


if __name__ == "__main__":
    files.write_text(page, text())
