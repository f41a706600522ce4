"""Reading JSON and TOML that anybody may have written: one class of error each, with a short reason."""

from typing import Any, TypeVar

import msgspec

from pipeline.errors import RecipeError

T = TypeVar("T")

LONGEST_REASON = 200
"""Letters of a reason; what was found may be quoted in it, and be of any length."""


def json(content: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """Decode a document.

    Raises:
        msgspec.DecodeError: it is not what the decoder expects; its text is a short phrase.
    """
    try:
        return decoder.decode(content)
    except RecursionError:
        reason = "it is nested too deeply"
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except msgspec.DecodeError as error:
        reason = cut(str(error))
    raise msgspec.DecodeError(reason)


def toml(text: str) -> dict[str, Any]:
    """Decode a document.

    Raises:
        RecipeError: it is not TOML; says the line.
    """
    import tomli  # The app decodes JSON long before it reads a recipe.

    try:
        return tomli.loads(text)
    except (ValueError, RecursionError) as error:
        # Beside its own error: a number of too many digits, and tables within tables without end.
        raise RecipeError(f"not valid TOML: {cut(str(error)).rstrip('.')}.") from None


def cut(text: str) -> str:
    """Shorten a text that goes into a message."""
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
