"""The end of sources whose results are safe."""

from __future__ import annotations

from dataclasses import dataclass

from vqcodec.batch.job import Job
from vqcodec.errors import SourceKeptError
from vqcodec.storage import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Whether files that were compressed are deleted, and what is made sure before."""

    remove_source: bool = False
    allow_larger: bool = False
    """Delete them even if their results are larger."""
    allow_lossy: bool = False
    """Delete sound and clips, too, of which results hold only about what is heard and seen."""
    verify: bool | None = None
    """Decode each result from the disk before it gets its name; None: if it is to be deleted."""

    def __post_init__(self) -> None:
        if self.remove_source and self.verify is False:
            raise ValueError("a source is only removed after its result is verified")

    @property
    def verifies(self) -> bool:
        """Whether each result is decoded from the disk before it gets its name."""
        return self.remove_source or bool(self.verify)

    def is_too_large(self, before: int, after: int) -> bool:
        """Tell whether a source is kept because its result, of `after` bytes, is larger."""
        return after > before and not self.allow_larger


def remove(job: Job, state: State) -> tuple[str, ...]:
    """Delete the input of a job; return why it is kept, if it is. Raises FileNotFoundError if
    another program was quicker.
    """
    try:
        job.remove_source(state)
    except SourceKeptError as error:
        reason = str(error).removeprefix("kept: ")
        return (f"{reason}; {error.hint}" if error.hint else reason,)
    except FileNotFoundError:
        raise
    except OSError as error:
        return (f"cannot be deleted: {error.strerror or error}",)
    return ()
