"""Changing a recipe on its way in: ``stages.0.sparsity=0.8``."""

from typing import Any

import tomli

from pipeline.errors import RecipeError


def apply(document: dict[str, Any], text: str) -> None:
    """Change a decoded document in place.

    Args:
        document: of a recipe.
        text: ``key.path=value``; the value is TOML, or a plain text when it is not.

    Raises:
        RecipeError: the text is not of that form, or its path leads nowhere.
    """
    path, separator, literal = text.partition("=")
    if not separator or not path.strip():
        raise RecipeError(f"the override {text!r} is not of the form key.path=value.")
    try:
        value = tomli.loads(f"value = {literal.strip()}")["value"]
    except tomli.TOMLDecodeError:
        value = literal.strip()
    parts = path.strip().replace("[", ".").replace("]", "").split(".")
    if parts[0] == "dataset" and len(parts) > 1 and isinstance(document.get("dataset"), str):
        document["dataset"] = {"name": document["dataset"]}
    place: Any = document
    for part in parts[:-1]:
        place = _step(place, part, text)
    if isinstance(place, list):
        _step(place, parts[-1], text)
        place[int(parts[-1])] = value
    elif isinstance(place, dict):
        place[parts[-1]] = value
    else:
        raise RecipeError(f"the override {text!r} goes into something that is no table.")


def _step(place: Any, part: str, text: str) -> Any:
    if isinstance(place, list):
        if not part.isdigit() or int(part) >= len(place):
            raise RecipeError(f"the override {text!r} names {part!r}; the list holds {len(place)}, counted from 0.")
        return place[int(part)]
    if not isinstance(place, dict):
        raise RecipeError(f"the override {text!r} goes into something that is no table.")
    return place.setdefault(part, {})
