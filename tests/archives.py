"""Reading an archive of pruned sagas, as ``zstd -dc`` and a look at each line would."""

import json
from pathlib import Path
from typing import Any

from backports import zstd


def documents_in(path: Path) -> list[dict[str, Any]]:
    """Return the documents in an archive."""
    return [json.loads(line) for line in zstd.decompress(path.read_bytes()).splitlines()]
