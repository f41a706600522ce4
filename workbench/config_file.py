"""``config.toml`` as text: a commented sample, and the JSON Schema that editors check it by."""

import json
from pathlib import Path
from typing import Any

from pipeline.options import Option, options_of
from workbench.settings import Settings

head = """# Settings of pqd-workbench. A line that begins with # is a remark; what stands there is the default.
# Flags and variables of the environment (PQD_ and the name in capitals) win over this file.
"""


def sample() -> str:
    """Write a file that sets nothing and explains everything."""
    parts = [head]
    for option in options_of(Settings):
        if option.kind == "table":
            parts.append(f"# {_sentence(option)}\n[{option.name}]\n")
        else:
            parts.append(f"# {_sentence(option)}\n# {option.name} = {toml(option.default)}\n")
    return "\n".join(parts)


def toml(value: Any) -> str:
    """Write a plain value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def schema() -> dict[str, Any]:
    """Give the JSON Schema of the file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "settings of pqd-workbench",
        "type": "object",
        "additionalProperties": False,
        "properties": {option.name: _property(option) for option in options_of(Settings)},
    }


types = {"int": "integer", "float": "number", "bool": "boolean", "table": "object"}


def _property(option: Option) -> dict[str, Any]:
    found = {
        "type": types.get(option.kind, "string"),
        "description": option.help,
        "default": str(option.default) if isinstance(option.default, Path) else option.default,
        "enum": list(option.choices) or None,
        "minimum": option.minimum,
        "maximum": option.maximum,
        "additionalProperties": {"type": "string"} if option.kind == "table" else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _sentence(option: Option) -> str:
    return f"{option.help[:1].upper()}{option.help[1:]}: {option.allowed()}."
