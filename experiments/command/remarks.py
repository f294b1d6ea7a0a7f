"""What the last line of `jmpose predict` says of a source and of boxes, beside what was done."""

from collections.abc import Iterable

from jmpose_jax.inference.box_files import BoxFile
from jmpose_jax.inference.results import Summary
from jmpose_jax.inference.sources.source import Source


def left_out(file: BoxFile, summary: Summary) -> str:
    """Which boxes of a file have no pose, as further parts of the last line."""
    text = "".join(f"; {count} boxes {reason} left out" for reason, count in file.dropped.items())
    text += "".join(f"; {note}" for note in file.notes)
    if summary.complete and (beyond := len(set(file.detector.frames) - set(summary.numbers))):
        text += f"; boxes of {beyond} frames that were not read left out"
    return text


def remarks(summary: Summary, reader: Source) -> str:
    """What the user should know of the source, as further parts of the last line."""
    text = reader.remark
    if summary.lost and not reader.pictures:
        text += f"; the file is damaged: no picture, and no poses, in {ranges(summary.lost)}"
    if summary.damaged:
        text += f"; decoded with faults: {ranges(summary.damaged)}"
    if summary.surplus:
        text += (
            f"; the damaged file should hold {reader.expected_frames} frames, {summary.surplus} fewer than were found: "
            "numbers behind the damage may be too high"
        )
    if summary.missing:
        many = f"announces {reader.announced_frames}" if reader.announced_frames else "is damaged and should hold about"
        many += "" if reader.announced_frames else f" {reader.expected_frames}"
        text += f"; the file {many} frames, {summary.missing} of them could not be found in it"
        if summary.unsure is not None:
            text += f"; the numbers of frames from {summary.unsure} on may be too low"
    for frame, pictures in summary.jumps:
        text += (
            f"; the time stamps jump before frame {frame}: if frames are lost there (about {pictures}), the numbers of "
            "later ones are too low"
        )
    if summary.rescaled:
        sizes = sorted({size for _, size in summary.rescaled})
        text += (
            f"; the video changes its size: {ranges([frame for frame, _ in summary.rescaled])} (in the file "
            f"{', '.join(f'{width}×{height}' for width, height in sizes)}) scaled to fit "
            f"{reader.size[0]}×{reader.size[1]}, which their poses refer to"
        )
    return text


def ranges(frames: Iterable[int]) -> str:
    """`frame 6`, or `frames 6–8, 12`; of very many parts the first ones and the count."""
    numbers = sorted(frames)
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    shown = ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in parts[:10])
    more = f", … ({len(numbers)} in all)" if len(parts) > 10 else ""
    return f"frame{'s' if len(numbers) > 1 else ''} {shown}{more}"
