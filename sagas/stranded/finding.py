"""What is said of the sagas that would be stranded."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from sagas import registry

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

    @property
    def remedy(self) -> str:
        """What helps where only a name has changed; empty where it is no matter of names."""
        if self.kind == "handler":
            close = difflib.get_close_matches(self.name, registry.commands(), n=1)
            now = close[0] if close else "NEW.NAME"
            return (
                f'If it has another name now, write @command("{now}", formerly=("{self.name}",)), which serves both;'
                f" or, where no old code runs any more, `saga remap {self.name} {now}`. Else bring its handler back."
            )
        if self.kind == "function":
            return (
                "If only a command has another name now, say `formerly` at its handler, or `saga remap` it; what has"
                f" stopped at misconfigured by then waits for `saga retry ID --step {self.step} --reason …`."
            )
        return ""

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "ids"}
