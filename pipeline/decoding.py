"""Reading JSON that anybody may have written: whatever is wrong with it, one class of error and a short reason."""

from typing import TypeVar

import msgspec

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


def cut(text: str) -> str:
    """Shorten a text that goes into a message."""
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
