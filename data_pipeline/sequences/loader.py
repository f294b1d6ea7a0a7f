"""Batches of windows: shuffled, noise drawn, shared over hosts, with a position of one integer.

Batch n is a function of the data, the seed and n alone: the same step sees the same batch after any restart.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import grain
import numpy as np

from data_pipeline.sequences import windows
from data_pipeline.sequences.motions import turned
from data_pipeline.sequences.noise import NoiseModel
from data_pipeline.sequences.records import SequenceSet, mirror_pairs
from jmpose_jax.errors import InputError
from jmpose_jax.records import SequenceBatch
from jmpose_jax.refinement.coordinates import Coordinates, body_size
from jmpose_jax.refinement.gaps import filled, known_joints

PADDINGS = ("hold", "zeros")


@dataclasses.dataclass(frozen=True)
class WindowOptions:
    """How sequences are cut, and how a network sees the windows.

    Attributes:
      window: W, frames.
      step: frames from a window to the next in evaluation.
      coordinates: of the network.
      tail, train_windows: see `windows`.
      padding: of sequences shorter than a window. "hold" repeats the last pose, and padded frames count nowhere;
        "zeros" makes estimates and truth 0, and they count, as in the public code.
      turn: training turns poses in space about the vertical by an angle drawn for each window.
    """

    window: int
    step: int
    coordinates: Coordinates
    tail: str = "cover"
    train_windows: str = "starts"
    padding: str = "hold"
    turn: bool = False

    def check(self, joints: int, dimensions: int) -> None:
        """Raises InputError where poses of so many joints and dimensions cannot be cut so."""
        self.coordinates.check(joints, dimensions)
        if self.padding not in PADDINGS:
            raise InputError(f"padding={self.padding!r} is not known; use one of {', '.join(PADDINGS)}")
        if self.turn and dimensions != 3:
            raise InputError(f"turn=True turns poses in space, these have {dimensions} dimensions; set it to False")


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """One window as a network sees it, and the way back.

    Attributes:
      poses: float32 [W, K, D], normalised, without gaps.
      given: bool [W, K], the joints that were estimated.
      target: float32 [W, K, D], normalised, 0 where it is not known.
      known: bool [W, K], where it is.
      origin: float [W, 1, D] and unit float [D]: poses in the unit of the data = normalised · unit + origin.
    """

    poses: np.ndarray
    given: np.ndarray
    target: np.ndarray
    known: np.ndarray
    origin: np.ndarray
    unit: np.ndarray


def cut(
    poses: np.ndarray, target: np.ndarray, start: int, options: WindowOptions, size: tuple[float, float] | None = None
) -> Window:
    """The window of a sequence that begins at a frame.

    Args:
      poses, target: float [T, K, D], NaN at gaps and where the truth is not known.
      start: its first frame.
      options: how.
      size: of the picture, (width, height).
    """
    at = slice(start, start + options.window)
    poses, target = poses[at], target[at]
    length, missing = len(poses), options.window - len(poses)
    given, known = known_joints(poses), known_joints(target)
    whole = filled(poses, given)
    origin, unit = options.coordinates.of(whole, size)
    # Roots are taken off either side by itself: what is scored is the pose about its own root.
    own = origin
    if options.coordinates.kind == "root":
        own, _ = options.coordinates.of(filled(target, known), size)
    seen = ((whole - origin) / unit).astype(np.float32)
    true = np.where(known[..., None], (target - own) / unit, 0.0).astype(np.float32)
    if missing:
        zeros = options.padding == "zeros"
        seen, true = (_padded(each, missing, "constant" if zeros else "edge") for each in (seen, true))
        given, known = (np.concatenate([each, np.full((missing, each.shape[1]), zeros)]) for each in (given, known))
        origin = _padded(origin, missing, "edge")
    assert len(seen) == length + missing
    return Window(seen, given, true, known, origin, unit)


def _padded(array: np.ndarray, count: int, mode: str) -> np.ndarray:
    return np.pad(array, [(0, count)] + [(0, 0)] * (array.ndim - 1), mode=mode)


class Split:
    """The sequences of a split with their windows; what evaluation puts poses together by.

    Attributes:
      data: the sequences.
      options: how they are cut.
      windows: the table.
    """

    def __init__(self, data: SequenceSet, options: WindowOptions, train: bool, noise: NoiseModel | None, seed: int):
        """Use `make_loader`, or `evaluation_split`."""
        options.check(len(data.joints), data.dimensions)
        self.data, self.options = data, options
        self._noise, self._seed, self._train = noise, seed, train
        self._drawn: dict[int, np.ndarray] = {}
        self._sizes = [None] * len(data.sequences)
        self._pairs = mirror_pairs(data.joints)
        if noise is None and any(sequence.poses is None for sequence in data.sequences):
            raise InputError("the sequences have no estimates; give a noise model to draw them from")
        if train:
            self.windows = windows.training_windows(data.lengths, options.window, options.train_windows)
        else:
            self.windows = windows.evaluation_windows(data.lengths, options.window, options.step, options.tail)

    def __len__(self) -> int:
        return len(self.windows)

    def poses(self, place: int) -> np.ndarray:
        """The estimates of a sequence, float32 [T, K, D]; where they are drawn, the same ones each time."""
        sequence = self.data.sequences[place]
        if sequence.poses is not None:
            return sequence.poses
        if place not in self._drawn:
            rng = np.random.default_rng([self._seed, 77, place])
            self._drawn[place] = self._noise.estimate(sequence.target, self._size(place), self._pairs, rng)
        return self._drawn[place]

    def window(self, row: int, rng: np.random.Generator | None = None) -> Window:
        """A row of the table; with `rng`, estimates that are drawn are drawn for it anew, and it is turned."""
        place, start = int(self.windows.sequence[row]), int(self.windows.start[row])
        sequence = self.data.sequences[place]
        if rng is None:
            return cut(self.poses(place), sequence.target, start, self.options, sequence.size)
        target = sequence.target[start : start + self.options.window]
        if sequence.poses is None:
            poses = self._noise.estimate(target, self._size(place), self._pairs, rng)
        else:
            poses = sequence.poses[start : start + self.options.window]
        if self.options.turn:
            angle = rng.uniform(0, 2 * np.pi)
            poses, target = turned(poses, angle), turned(target, angle)
        return cut(poses, target, 0, self.options, sequence.size)

    def way_back(self, found: np.ndarray) -> list[np.ndarray]:
        """Sequences from what a network says of all windows.

        Args:
          found: float [n, W, C], normalised, in the order of the table.

        Returns:
          One float64 [T', K, D] a sequence in the unit of the data; see `WindowTable.joined`. Frames of padding that
          do not count are cut off.
        """
        shape = (len(self.data.joints), self.data.dimensions)
        back = np.empty((*found.shape[:2], *shape))
        for row in range(len(self)):
            window = self.window(row)
            back[row] = found[row].reshape(-1, *shape) * window.unit + window.origin
            if self.options.padding == "zeros":  # padding is 0 in the network's coordinates, and counts in them
                short = self._short(row)
                back[row, len(back[row]) - short :] -= window.origin[len(back[row]) - short :]
        joined = self.windows.joined(back)
        if self.options.padding == "zeros":
            return joined
        return [poses[: len(sequence)] for poses, sequence in zip(joined, self.data.sequences)]

    def _short(self, row: int) -> int:
        left = len(self.data.sequences[self.windows.sequence[row]]) - int(self.windows.start[row])
        return max(self.options.window - left, 0)

    def _size(self, place: int) -> float:
        if self._sizes[place] is None:
            target = self.data.sequences[place].target
            known = known_joints(target)
            self._sizes[place] = body_size(np.where(known[..., None], target, 0.0), known)
        return self._sizes[place]


class _Rows:
    """The rows of a split, for Grain."""

    def __init__(self, count: int):
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> int:
        return int(row)

    def __repr__(self) -> str:
        return f"rows({self._count})"


class _Drawn(grain.transforms.RandomMap):
    """Row to (row, seed of what is drawn for it)."""

    def random_map(self, element: int, rng: np.random.Generator) -> tuple[int, int]:
        return element, int(rng.integers(2**63))


class SequenceLoader(Iterator[SequenceBatch]):
    """An iterator of `SequenceBatch` with NumPy leaves, whose position can be saved and restored.

    Attributes:
      table: the split; `batch.index` counts its windows.
    """

    def __init__(self, split: Split, batch_size: int, train: bool, seed: int, part: int, parts: int):
        """Use `make_loader`."""
        self.table = split
        self._train, self._seed, self._next = train, seed, 0
        self._size, self._whole, self._first = batch_size, batch_size * parts, batch_size * part
        self._rows = grain.MapDataset.source(_Rows(len(split))).seed(seed).shuffle().repeat().random_map(_Drawn())

    def __len__(self) -> int:
        """Batches an epoch: in training without an incomplete last one but at least 1, in evaluation with it."""
        if self._train:
            return max(len(self.table) // self._whole, 1)
        return -(-len(self.table) // self._whole)

    def __next__(self) -> SequenceBatch:
        first = self._next + self._first
        if not self._train and self._next >= len(self) * self._whole:
            raise StopIteration
        rows, found = [], []
        for place in range(first, first + self._size):
            if self._train:
                row, drawn = self._rows[place]
                found.append(self.table.window(row, np.random.default_rng(drawn)))
            else:
                row = min(place, len(self.table) - 1)
                found.append(self.table.window(row))
            rows.append(row)
        valid = np.ones(self._size) if self._train else np.arange(first, first + self._size) < len(self.table)
        self._next += self._whole
        joints, dimensions = len(self.table.data.joints), self.table.data.dimensions
        shape = (self._size, self.table.options.window, joints * dimensions)
        known = np.stack([window.known for window in found])
        return SequenceBatch(
            poses=np.stack([window.poses for window in found]).reshape(shape),
            target=np.stack([window.target for window in found]).reshape(shape),
            labelled=np.repeat(known, dimensions, axis=2).astype(np.float32),
            index=np.array(rows, np.int32),
            valid=valid.astype(np.float32),
        )

    def get_state(self) -> dict[str, int]:
        """The position, as a small JSON-able dict; equal on all hosts."""
        return {"global_next_index": self._next, **self._identity()}

    def set_state(self, state: Mapping[str, int]) -> None:
        """Go on where the state was taken.

        Raises:
          InputError: the state is of another seed or data set, so that the order of windows would differ.
        """
        for name, value in self._identity().items():
            if state.get(name, value) != value:
                raise InputError(
                    f"input position was saved with {name}={state[name]}, this run has {value}; "
                    "use the data set and seed of the earlier run, or a new workdir"
                )
        self._next = int(state["global_next_index"])

    def _identity(self) -> dict[str, int]:
        return {"seed": self._seed, "windows": len(self.table)}

    def close(self) -> None:
        """Nothing is open."""


def make_loader(
    data: SequenceSet,
    options: WindowOptions,
    batch_size: int,
    *,
    train: bool = False,
    noise: NoiseModel | None = None,
    seed: int = 0,
    share: tuple[int, int] = (0, 1),
) -> SequenceLoader:
    """A loader of a split.

    Training is endless: windows are shuffled anew each epoch, and what is drawn (noise, turns) is drawn for each window
    anew. Evaluation goes through the table once in its order, always with the same noise; the last batch is padded by
    repetitions with `valid` 0.

    Args:
      data: the sequences.
      options: how they are cut.
      batch_size: windows a batch of this process.
      train: as above.
      noise: of sequences that have no estimates.
      seed: of order and draws in training; the noise of evaluation is the same for all seeds.
      share: the part of every batch that this process loads, and how many parts there are.

    Raises:
      InputError: naming the option at fault.
    """
    if batch_size < 1:
        raise InputError(f"batch_size={batch_size}: must be positive")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed={seed}: must be between 0 and {2**32 - 1}")
    return SequenceLoader(Split(data, options, train, noise, 0), batch_size, train, seed, *share)


def evaluation_split(data: SequenceSet, options: WindowOptions, noise: NoiseModel | None = None) -> Split:
    """The windows of a split as evaluation goes through them, without a loader."""
    return Split(data, options, False, noise, 0)
