"""What the benchmark has to know of a medium; all else is the same for pictures and sound."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from vqcodec_bench.codec import Codec, Content, OwnCodec

Row = dict[str, Any]
"""A row of one of results.json's tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A measure of quality, of which more is better."""

    label: str
    axis: str
    """The title of its axis in plots."""
    places: int
    """Digits after the point that mean something."""


class Medium(ABC, Generic[Content]):
    """Pictures or sound."""

    noun: str
    """The key of a file's name in results.json, whose files are under the plural."""
    rate: str
    """The key of the rate in results.json: the size of whole files beside what they hold."""
    rate_label: str
    """The title of its axis in plots."""
    widest: float
    """Rates above this are left out of plots and of what the page shows: all looks or sounds
    like the original there.
    """
    metrics: Mapping[str, Metric]
    """By their keys in results.json."""
    peers: Mapping[str, type[Codec[Content]]]
    """By name."""
    usual: tuple[str, ...]
    """The peers that are measured by default."""
    own: type[OwnCodec[Content]]
    packages: tuple[str, ...]
    """Those whose versions the results state."""
    timed_rate: float
    """Codecs are timed at the quality whose mean rate is nearest to this."""
    timed_unit: str
    """The key of the speed in results.json."""
    timed_threads: int | None
    """Threads that they are timed with; None: one per core."""
    timed_files: int | None
    """How many files they are timed on; None: all."""
    untrained: Sequence[Codec[Content]] = ()
    """Codecs that are timed besides, as their speed can be known without their weights."""
    page_mime: str
    """The type of the files that the page shows where browsers do not decode a codec's."""
    decoded_exactly: bool
    """Whether `decoded_file` loses nothing."""
    page_files: int
    """The page shows at most so many files, unless another number is asked for."""

    @property
    def plural(self) -> str:
        """The noun for several."""
        return f"{self.noun}s"

    @abstractmethod
    def requirements(self) -> dict[str, str]:
        """Return what cannot be measured for want of a package: metrics by their label and why.

        Raises: MissingPackageError if nothing can be.
        """

    @abstractmethod
    def read(self, path: Path) -> Content:
        """Read a file. Raises: VqcError, OSError."""

    @abstractmethod
    def digest(self, content: Content) -> str:
        """Return the SHA-256 of what a file holds."""

    @abstractmethod
    def describe(self, content: Content) -> Row:
        """Return what results.json says of a file besides its name and hash."""

    @abstractmethod
    def amount(self, content: Content) -> float:
        """Return how much a file holds: megapixels or seconds."""

    @abstractmethod
    def rate_of(self, size: int, content: Content) -> float:
        """Return the rate of a whole file of `size` bytes."""

    @abstractmethod
    def fit(self, original: Content, decoded: Content, *, delayed: bool) -> Content:
        """Return what was decoded in the original's size, a delay undone if there may be one.

        Raises: ValueError if it has another size.
        """

    @abstractmethod
    def compare(self, original: Content, decoded: Content) -> dict[str, float | None]:
        """Return every metric of two of the same size; None where it has nothing to say."""

    @abstractmethod
    def metric_versions(self) -> tuple[str, ...]:
        """Name what decides the metrics' values."""

    @abstractmethod
    def original_file(self, content: Content) -> bytes:
        """Return the original as a file of `page_mime`, without loss."""

    @abstractmethod
    def decoded_file(self, content: Content) -> bytes:
        """Return what a codec made of it as a file of `page_mime`."""

    @abstractmethod
    def conclusions(
        self, codecs: Sequence[Codec[Content]], results: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what else is to be in results.json, given its files and mean curves."""
