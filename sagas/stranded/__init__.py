"""What a deploy would strand: sagas under way that need what the code in this tree does not have.

The pinned definitions are looked at first, and of the sagas only those that still need what is missing:
the number of statements depends on how much is missing, never on how many sagas there are.
"""

from sagas.stranded import data, functions, handlers, types
from sagas.stranded.finding import Finding as Finding
from sagas.stranded.flight import commands as commands
from sagas.stranded.flight import in_flight as in_flight


def findings(saga_type: str | None = None, *, pinned_only: bool = False) -> list[Finding]:
    """Return everything that would strand a saga under way, of one type or of any; the certain first.

    With ``pinned_only`` that is what their definitions say: no saga's data is read, and no function run.
    """
    flying = in_flight(saga_type)
    found = [*types.gone(flying), *handlers.missing(flying)]
    if not pinned_only:
        found += [*data.refused(flying), *functions.differing(flying)]
    return sorted(found, key=lambda f: (f.elsewhere, f.saga_type, f.step or "", f.role or ""))
