"""What a run was asked to be, as every process of it knows."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: What is going on: faults and load; load alone, while pages must keep up; nothing new, until all is settled; the end.
STORM, STEADY, SETTLE, OVER = "storm", "steady", "settle", "over"

#: What every saga of a run carries, and nobody but its participants and its readers may ever be told.
CANARY = "canary-4111-1111"


@dataclass(frozen=True)
class Plan:
    """A run's parameters, and where its parts are found."""

    folder: str
    minutes: float
    seed: int
    database: str
    lease: float
    workers: int
    bug: str | None = None
    without: str = ""
    """Kinds of faults that are left out, by their numbers."""
    web: int = 0
    ledger: int = 0
    outpost: int = 0
    carrier: int = 0
    back_door: str = ""
    token: str = ""
    session: str = ""
    expired: str = ""

    @property
    def path(self) -> Path:
        """The folder that everything is in."""
        return Path(self.folder)

    @property
    def seconds(self) -> float:
        """How long the faults last."""
        return self.minutes * 60

    @property
    def again(self) -> str:
        """The command that repeats the run."""
        bug = f" --bug {self.bug}" if self.bug else ""
        without = f" --without {self.without}" if self.without else ""
        return f"bench/chaos --minutes {self.minutes:g} --seed {self.seed} --database {self.database}{bug}{without}"

    def save(self) -> None:
        """Write it for the other processes."""
        (self.path / "plan.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Any) -> "Plan":
        """Read it back."""
        return cls(**json.loads((Path(folder) / "plan.json").read_text()))

    @property
    def phase(self) -> str:
        """What is going on now."""
        try:
            return (self.path / "phase").read_text()
        except FileNotFoundError:
            return STORM

    def enter(self, phase: str) -> None:
        """Tell everybody what is going on from now on."""
        draft = self.path / "phase.new"
        draft.write_text(phase)
        draft.rename(self.path / "phase")
