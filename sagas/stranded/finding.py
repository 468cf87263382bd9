"""What is said of the sagas that would be stranded."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

#: How many sagas are named for each finding.
EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """Some sagas of one type that the present code would strand, and where."""

    kind: str
    """handler: nobody handles a command; type: the class is gone; child: that of a child yet to begin is; data: the
    handler's model refuses what is pinned; function: the function no longer does what is recorded."""
    saga_type: str
    step: str | None
    role: str | None
    name: str
    """The command's name, or the type's; of a child its own."""
    sagas: int
    ids: Sequence[Any] | QuerySet[Any, UUID] = field(repr=False, compare=False)
    """Theirs; read from the database when it is asked for."""
    examples: tuple[str, ...]
    why: str
    """The end of a sentence about them."""
    elsewhere: bool = False
    """A worker that is, or was lately, alive serves the command's queue, and no handler of ours is on it."""
    definitions: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(
        cls,
        kind: str,
        saga_type: str,
        step: str | None,
        role: str | None,
        name: str,
        why: str,
        *,
        sagas: int,
        ids: Sequence[Any] | QuerySet[Any, UUID],
        elsewhere: bool = False,
        definitions: Sequence[str] = (),
    ) -> "Finding":
        """Return one with its examples, which are read now."""
        examples = tuple(str(each) for each in ids[:EXAMPLES])
        return cls(
            kind, saga_type, step, role, name, sagas, ids, examples, why, elsewhere, tuple(definitions)
        )

    def __str__(self) -> str:
        if self.sagas > 1:
            return f"{self.sagas} running sagas of type {self.saga_type}, {self.examples[0]} among them: {self.why}."
        return f"Running saga {', '.join(self.examples)} of type {self.saga_type}: {self.why}."

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "ids"}
