"""The text forms of box files: MOT, and CSV with a header."""

import csv
import re
from typing import Any

from jmpose_jax.boxes.columns import COLUMNS
from jmpose_jax.boxes.records import Builder, Content, Image, Row
from jmpose_jax.boxes.values import absent, box, image_size, is_person, number, plain, track, whole
from jmpose_jax.errors import InputError

HEADER = "frame (or image_name), x, y, w, h (or xmin, ymin, xmax, ymax), and if need be score, id, category_id"
PEDESTRIAN = 1  # of the classes of MOT's ground truth


def read_text(path: Any, text: str) -> Content | None:
    """The content of a text file, or None where it is neither of the two forms."""
    lines = text.splitlines()
    first = next((line for line in lines if line.strip("# \t")), "")
    if first.lstrip().startswith("#"):  # a comment, which may hold the names of the columns
        header = first.lstrip("# \t")
        if len(_columns(path, next(csv.reader([header], delimiter=_delimiter(header))))) >= 3:
            lines[lines.index(first)] = header
    lines = ["" if line.lstrip().startswith("#") else line for line in lines]
    delimiter = _delimiter(next((line for line in lines if line.strip()), ""))
    try:
        cells = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: no CSV ({error}); is the file complete?") from error
    rows = [
        (i, [cell.strip() for cell in row if cell.strip() or delimiter != " "])
        for i, row in enumerate(cells, start=1)
        if any(cell.strip() for cell in row)
    ]
    if not rows:
        return None
    if delimiter == ";":
        rows = _with_points(rows)
    columns = _columns(path, rows[0][1])
    if len(columns) >= 3:
        return _read_csv(path, columns, rows)
    # MOT has numbers alone; a first line with words is a header that cannot be understood, or another form.
    if len(rows[0][1]) >= 6 and not isinstance(plain(rows[0][1][0]), str):
        return _read_mot(path, rows)
    return None


def _delimiter(line: str) -> str:
    return next((d for d in (";", "\t", ",") if d in line), " ")


def _with_points(rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Decimal commas as points, where no decimal point is there: beside one the comma may part thousands."""
    cells = [cell for _, row in rows for cell in row]
    if any(re.fullmatch(r"[+-]?[0-9]*\.[0-9]+", cell, re.ASCII) for cell in cells):
        return rows
    number_with_comma = re.compile(r"([+-]?[0-9]+),([0-9]+)", re.ASCII)
    return [
        (line, [number_with_comma.sub(r"\1.\2", c) if number_with_comma.fullmatch(c) else c for c in row])
        for line, row in rows
    ]


def _columns(path: Any, cells: list[str]) -> dict[str, int]:
    names = [re.sub("[^a-z0-9]+", "_", cell.lower()).strip("_") for cell in cells]
    found = {}
    for meaning, known in COLUMNS.items():
        name = next((name for name in known if name in names), None)
        if name is not None and names.count(name) > 1:
            raise InputError(f"{path}: the header has the column {name!r} twice; remove one, or name it otherwise")
        if name is not None:
            found[meaning] = names.index(name)
    return found


def _read_csv(path: Any, columns: dict[str, int], rows: list[tuple[int, list[str]]]) -> Content:
    where_is = [kind for kind in ("frame", "name", "identity") if kind in columns]
    # A table with corners may hold width and height of the image, so corners come first.
    for sides in (
        ("x", "y", "right", "bottom"),
        ("centre_x", "centre_y", "width", "height"),
        ("x", "y", "width", "height"),
    ):
        if where_is and all(side in columns for side in sides):
            break
    else:
        raise InputError(
            f"{path}: the header {', '.join(rows[0][1])[:80]!r} is not understood; name the columns {HEADER}"
        )
    builder, length = Builder(path), len(rows[0][1])
    for line, cells in rows[1:]:
        place = f"line {line}"
        where = f"{path}: {place}"
        if len(cells) != length:
            raise InputError(f"{where} has {len(cells)} columns, the header {length}; is the file complete?")
        found = box([cells[columns[side]] for side in sides], where, corners="right" in sides)
        image = _csv_image(where, place, columns, cells, found if "right" in sides else None)
        if "centre_x" in sides:
            found = (found[0] - found[2] / 2, found[1] - found[3] / 2, found[2], found[3])
        optional = {kind: cells[columns[kind]] for kind in ("score", "track", "category") if kind in columns}
        builder.rows.append(
            Row(
                place,
                builder.image(image),
                found,
                number(optional["score"], f"{where}: the score") if "score" in optional else 1.0,
                is_person(optional["category"], f"{where}: the category")
                if not absent(optional.get("category"))
                else True,
                track(optional.get("track"), f"{where}: the id"),
            )
        )
    return builder.content("csv")


def _csv_image(
    where: str, place: str, columns: dict[str, int], cells: list[str], beside: tuple[float, ...] | None
) -> Image:
    """The image that a line names; `beside` is its box where that has corners."""
    sides = ("image_width", "image_height")
    if beside and "image_width" not in columns:  # width and height beside corners are the image's, or the box's again
        sides = ("width", "height")
    size = [cells[columns[side]] if side in columns else None for side in sides]
    size = image_size(*size, where) if not beside or not _alike(size, beside[2:]) else None
    video = cells[columns["video"]] if "video" in columns else None
    values = {kind: cells[columns[kind]] for kind in ("frame", "name", "identity") if kind in columns}
    if not all(values.values()):
        empty = next(kind for kind, value in values.items() if not value)
        raise InputError(
            f"{where}: the {'image' if empty != 'frame' else 'frame'} is empty; fill it in or remove the line"
        )
    name = values.get("name")
    frame = values.get("frame")
    if name is None and frame is not None and isinstance(plain(frame), str):
        name, frame = frame, None  # a column "frame" that holds names of images
    return Image(
        place,
        name,
        whole(values["identity"], f"{where}: the image's id") if "identity" in values else None,
        None if frame is None else whole(frame, f"{where}: the frame"),
        None if absent(video) else video,
        size,
    )


def _alike(size: list[str | None], box_size: tuple[float, ...]) -> bool:
    values = [plain(value) for value in size]
    return all(isinstance(v, (int, float)) and abs(v - side) <= 1 for v, side in zip(values, box_size))


def _read_mot(path: Any, rows: list[tuple[int, list[str]]]) -> Content:
    builder, length = Builder(path), len(rows[0][1])
    for line, cells in rows:
        place = f"line {line}"
        where = f"{path}: {place}"
        if len(cells) != length:
            raise InputError(f"{where} has {len(cells)} columns, the first {length}; is the file complete?")
        image = builder.image(Image(place, number=whole(cells[0], f"{where}: the frame")))
        score = number(cells[6], f"{where}: the score") if length > 6 else 1.0
        # Nine columns are MOT's ground truth: …, whether the box counts, its class, the visible part.
        category = number(cells[7], f"{where}: the class") if length == 9 else PEDESTRIAN
        builder.rows.append(
            Row(
                place,
                image,
                box(cells[2:6], where),
                score,
                category in (PEDESTRIAN, -1),
                track(cells[1], f"{where}: the id"),
            )
        )
    return builder.content("mot")
