"""Boxes that are no pixels, scores that are no parts of 1, and names that contradict ids: refused for every reader."""

from typing import Any

from jmpose_jax.boxes.naming import contradicts_scheme
from jmpose_jax.boxes.records import Content
from jmpose_jax.errors import InputError

# Boxes of parts of the image reach at most a little beyond 1; so do scores that are probabilities times another.
PART = 1.5


def check_units(path: Any, content: Content) -> None:
    """Raise InputError where a file is of other units than pixels and parts of 1, or contradicts itself."""
    for image in content.images:
        fault = contradicts_scheme(image)
        if fault:
            raise InputError(f"{path}: {image.place} {fault}")
    solid = [row for row in content.rows if min(row.box[2:]) > 0]
    if solid and all(abs(value) <= PART for row in solid for value in row.box):
        raise InputError(
            f"{path}: no box is larger than {PART} pixels ({solid[0].place}: {_some(solid[0].box)}), as parts of the "
            "image's size are; multiply x and width by the image's width, y and height by its height"
        )
    # The confidences of MOT files are of any range.
    high = next((row for row in content.rows if row.score > PART), None)
    if high is not None and content.form != "mot":
        raise InputError(
            f"{path}: {high.place} has the score {high.score:g}; scores are from 0 to 1, divide percents by 100"
        )


def _some(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
