"""What a page says."""

import re
from typing import Any


def text(response: Any) -> str:
    """Return it, tags and all, as if it were one line."""
    return " ".join(response.content.decode().split())


def words(response: Any) -> str:
    """Return what can be read."""
    return " ".join(re.sub(r"<[^>]+>", " ", text(response)).split())
