"""Sequences by the name of where they come from: one call for all readers."""

import dataclasses

from data_pipeline.sequences import motions, official, posetrack
from data_pipeline.sequences.records import SequenceSet
from jmpose_jax.errors import InputError

MOTIONS, POSETRACK = "motions", "posetrack"
SOURCES = (MOTIONS, POSETRACK, *official.LAYOUTS)


@dataclasses.dataclass(frozen=True)
class SourceOptions:
    """Which sequences, and from where.

    Attributes:
      source: one of `SOURCES`.
      root: folder of the files; "" where "motions" are to be made.
      estimates: of files of estimates, the estimator's name in the layout of "jhmdb", "h36m", "pw3d", "aist"; for
        "posetrack" a folder with a folder of result files for each split.
      representation: "joints", or "rotations" of the body model where the files have them.
      dimensions: of "motions", 2 or 3.
      overlap: of train and test of "jhmdb", see `official.read_official`.
      seed: of "motions" that are made.
    """

    source: str
    root: str = ""
    estimates: str = ""
    representation: str = "joints"
    dimensions: int = 3
    overlap: str = "as_published"
    seed: int = 0


def read_sequences(options: SourceOptions, split: str) -> SequenceSet:
    """The sequences of a split.

    Raises:
      InputError: an unknown source or split, or a file is missing or at fault.
    """
    if options.source == MOTIONS:
        return motions.read_motions(options.root, split, options.dimensions, seed=options.seed)
    if options.source == POSETRACK:
        return posetrack.read_posetrack(options.root, options.estimates, split)
    if options.source in official.LAYOUTS:
        layout = official.LAYOUTS[options.source]
        return official.read_official(
            layout, options.root, options.estimates, split, options.representation, options.overlap
        )
    raise InputError(f"source={options.source!r} is not known; use one of {', '.join(SOURCES)}")
