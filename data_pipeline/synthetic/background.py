"""Backgrounds: rooms, streets, parks, courts and plain disorder, each drawn once a video."""

import cv2
import numpy as np

from data_pipeline.synthetic.appearance import cloth_colour, hsv

_SHIFT = 4


def texture(rng: np.random.Generator, width: int, height: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A patterned surface of two colours, uint8 [height, width, 3]."""
    kind = rng.choice(["mottled", "stripes", "checks", "plain"])
    if kind == "mottled":
        cells = rng.uniform(0, 1, (max(2, height // 12), max(2, width // 12))).astype(np.float32)
        share = np.clip(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    else:
        step = rng.uniform(4, 14)
        angle = rng.uniform(0, np.pi)
        x, y = np.arange(width)[None], np.arange(height)[:, None]
        along = x * np.cos(angle) + y * np.sin(angle)
        share = (np.sin(along * np.pi / step) > 0).astype(np.float32)
        if kind == "checks":
            share = np.abs(share - (np.sin((y * np.cos(angle) - x * np.sin(angle)) * np.pi / step) > 0))
        elif kind == "plain":
            share = 0.15 * share
    share = share[..., None].astype(np.float32)
    return np.clip(first * (1 - share) + second * share, 0, 255).astype(np.uint8)


def random_background(rng: np.random.Generator, width: int, height: int, ground: int) -> np.ndarray:
    """Draws a background.

    Args:
      rng: source of everything in it.
      width: pixels.
      height: pixels.
      ground: row where the wall or the horizon meets the ground.

    Returns:
      uint8 [height, width, 3], RGB.
    """
    ground = int(np.clip(ground, 0.35 * height, 0.9 * height))
    image = np.empty((height, width, 3), np.uint8)
    kinds = {"room": _room, "street": _street, "park": _park, "court": _court, "disorder": _disorder}
    kinds[str(rng.choice(list(kinds), p=[0.29, 0.22, 0.22, 0.17, 0.1]))](rng, image, ground)
    _grain(rng, image)
    return image


def _gradient(image, top, bottom):
    share = np.linspace(0, 1, len(image), dtype=np.float32)[:, None, None]
    image[:] = np.clip(top * (1 - share) + bottom * share, 0, 255).astype(np.uint8)


def _mottle(rng, image, cell, strength):
    """Soft blotches; `cell` is their size in pixels."""
    height, width = image.shape[:2]
    cells = rng.uniform(-strength, strength, (max(2, height // cell), max(2, width // cell))).astype(np.float32)
    blotches = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.add(image, cv2.merge([blotches] * 3), dst=image, dtype=cv2.CV_8U)


def _grain(rng, image):
    """Fine surface texture, so that motion of the background can be seen everywhere."""
    height, width = image.shape[:2]
    fine = rng.normal(0, rng.uniform(2, 9), (height // 2, width // 2)).astype(np.float32)
    fine = cv2.resize(fine, (width, height))
    cv2.add(image, cv2.merge([fine] * 3), dst=image, dtype=cv2.CV_8U)


def _scalar(colour):
    return tuple(min(max(float(channel), 0.0), 255.0) for channel in colour)


def _box(image, left, top, right, bottom, colour):
    cv2.rectangle(image, (int(left), int(top)), (int(right), int(bottom)), _scalar(colour), -1)


def _line(image, start, end, colour, thickness):
    cv2.line(image, tuple(map(int, start)), tuple(map(int, end)), _scalar(colour),
             int(thickness), cv2.LINE_AA)  # fmt: skip


def _blob(image, x, y, radius_x, radius_y, colour, angle=0.0):
    cv2.ellipse(image, (int(x), int(y)), (int(radius_x) + 1, int(radius_y) + 1), angle, 0, 360,
                _scalar(colour), -1, cv2.LINE_AA)  # fmt: skip


def _floor_lines(rng, image, ground, colour):
    """Boards or tiles running to a vanishing point."""
    height, width = image.shape[:2]
    vanish = (width * rng.uniform(0.3, 0.7), ground - rng.uniform(20, 70))
    for x in np.arange(-width, 2 * width, rng.uniform(40, 110)):
        share = (ground - vanish[1]) / (height - vanish[1])
        _line(image, (vanish[0] + (x - vanish[0]) * share, ground), (x, height), colour, 1)
    if rng.random() < 0.6:
        for share in np.array([0.08, 0.2, 0.38, 0.65]):
            row = ground + share * (height - ground)
            _line(image, (0, row), (width, row), colour, 1)


def _room(rng, image, ground):
    height, width = image.shape[:2]
    wall = hsv(rng.random(), rng.uniform(0.05, 0.45), rng.uniform(0.4, 0.95))
    if rng.random() < 0.3:
        image[:ground] = texture(rng, width, ground, wall, wall * rng.uniform(0.75, 0.95))
    else:
        _gradient(image[:ground], wall, wall * rng.uniform(0.75, 0.95))
    floor = hsv(rng.uniform(0.02, 0.14), rng.uniform(0.1, 0.6), rng.uniform(0.25, 0.8))
    _gradient(image[ground:], floor * 0.8, floor * 1.1)
    _floor_lines(rng, image, ground, floor * 0.65)
    _mottle(rng, image, 40, 12)
    for _ in range(rng.integers(2, 7)):  # pictures, windows, doors, shelves
        wide, tall = rng.uniform(25, 110), rng.uniform(25, 100)
        left, top = rng.uniform(0, width), rng.uniform(5, max(6, ground - tall - 15))
        if rng.random() < 0.35:
            top, tall = ground - tall * 1.3, tall * 1.3  # stands on the floor
        frame = cloth_colour(rng)
        _box(image, left - 3, top - 3, left + wide + 3, top + tall + 3, frame * 0.6)
        _box(image, left, top, left + wide, top + tall, cloth_colour(rng))
        if rng.random() < 0.5:
            _line(image, (left + wide / 2, top), (left + wide / 2, top + tall), frame * 0.6, 2)
            _line(image, (left, top + tall / 2), (left + wide, top + tall / 2), frame * 0.6, 2)
    _line(image, (0, ground), (width, ground), wall * 0.5, rng.integers(2, 5))


def _street(rng, image, ground):
    height, width = image.shape[:2]
    sky = hsv(rng.uniform(0.52, 0.64), rng.uniform(0.1, 0.5), rng.uniform(0.6, 1.0))
    _gradient(image[:ground], sky, 0.5 * sky + 120)
    left = -rng.uniform(0, 60)
    while left < width:
        wide, tall = rng.uniform(50, 130), rng.uniform(0.4, 1.1) * ground
        facade = hsv(rng.uniform(0, 0.15), rng.uniform(0.05, 0.45), rng.uniform(0.3, 0.85))
        _box(image, left, ground - tall, left + wide, ground, facade)
        glass = facade * rng.uniform(0.35, 0.6) if rng.random() < 0.7 else np.array([235.0, 220, 160])
        step_x, step_y = rng.uniform(14, 26), rng.uniform(18, 32)
        for x in np.arange(left + 6, left + wide - step_x * 0.6, step_x):
            for y in np.arange(ground - tall + 8, ground - step_y * 0.7, step_y):
                _box(image, x, y, x + step_x * 0.5, y + step_y * 0.55, glass)
        left += wide + (rng.uniform(0, 40) if rng.random() < 0.3 else 0)
    road = hsv(rng.random(), rng.uniform(0, 0.1), rng.uniform(0.25, 0.6))
    _gradient(image[ground:], road * 0.85, road * 1.1)
    kerb = int(ground + 0.2 * (height - ground))
    _box(image, 0, ground, width, kerb, road * 1.35)
    _mottle(rng, image[ground:], 14, 12)
    for _ in range(rng.integers(0, 4)):  # parked cars
        x, wide = rng.uniform(0, width), rng.uniform(60, 110)
        paint = cloth_colour(rng)
        _box(image, x, kerb - 26, x + wide, kerb - 6, paint)
        _box(image, x + 0.2 * wide, kerb - 42, x + 0.8 * wide, kerb - 26, paint * 0.7)
        for wheel in (0.2, 0.8):
            _blob(image, x + wheel * wide, kerb - 6, 8, 8, np.array([30.0, 30, 32]))


def _park(rng, image, ground):
    height, width = image.shape[:2]
    sky = hsv(rng.uniform(0.5, 0.64), rng.uniform(0.1, 0.5), rng.uniform(0.65, 1.0))
    _gradient(image[:ground], sky, 0.4 * sky + 140)
    for _ in range(rng.integers(0, 5)):
        _blob(image, rng.uniform(0, width), rng.uniform(0, ground * 0.4), rng.uniform(20, 60), rng.uniform(6, 14),
              np.array([245.0, 245, 248]))  # fmt: skip
    for _ in range(rng.integers(6, 18)):
        x, green = rng.uniform(0, width), hsv(rng.uniform(0.2, 0.4), rng.uniform(0.3, 0.75), rng.uniform(0.2, 0.6))
        size, top = rng.uniform(14, 42), rng.uniform(0.35, 0.85) * ground
        _line(image, (x, top), (x, ground + 4), hsv(0.08, 0.5, rng.uniform(0.2, 0.45)), rng.integers(4, 10))
        for _ in range(4):
            offset = rng.normal(0, size * 0.45, 2)
            _blob(image, x + offset[0], top + offset[1], size * 0.7, size * 0.6, green * rng.uniform(0.75, 1.25))
    grass = hsv(rng.uniform(0.18, 0.36), rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7))
    _gradient(image[ground:], grass * 0.8, grass * 1.15)
    _mottle(rng, image[ground:], 6, 18)
    if rng.random() < 0.4:  # a path
        middle = width * rng.uniform(0.2, 0.8)
        corners = [(middle - 15, ground), (middle + 15, ground), (middle + 190, height), (middle - 130, height)]
        cv2.fillConvexPoly(image, np.array(corners, np.int32), (178.0, 160.0, 132.0), cv2.LINE_AA)


def _court(rng, image, ground):
    height, width = image.shape[:2]
    _gradient(image[:ground], hsv(rng.random(), 0.3, 0.2), hsv(rng.random(), 0.3, 0.4))
    step = rng.uniform(7, 11)
    for y in np.arange(step, ground - 24, step):  # spectators
        for x in np.arange(rng.uniform(0, step), width, step * rng.uniform(0.9, 1.3)):
            colour = cloth_colour(rng) if rng.random() < 0.5 else np.array([150.0, 115, 95])
            _blob(image, x, y, step * 0.28, step * 0.34, colour * rng.uniform(0.4, 0.9))
    for x in np.arange(-rng.uniform(0, 80), width, 90):  # boards
        _box(image, x, ground - 22, x + 88, ground, cloth_colour(rng, 0.4))
        _box(image, x + 15, ground - 15, x + 70, ground - 8, cloth_colour(rng, 0.6))
    floor = hsv(rng.choice([0.07, 0.1, 0.33, 0.58]), rng.uniform(0.35, 0.7), rng.uniform(0.4, 0.8))
    _gradient(image[ground:], floor * 0.85, floor * 1.1)
    _mottle(rng, image[ground:], 20, 8)
    for _ in range(rng.integers(2, 6)):
        start, end = (rng.uniform(0, width), rng.uniform(ground, height)), (rng.uniform(0, width), height)
        _line(image, start, end, (238, 238, 232), rng.integers(2, 5))
    row = rng.uniform(ground + 4, height)
    _line(image, (0, row), (width, row), (238, 238, 232), 3)


def _disorder(rng, image, ground):
    """Coarse colours and shapes, some of them limb-like: what a detector must not fall for."""
    height, width = image.shape[:2]
    cells = rng.integers(0, 255, (rng.integers(4, 10), rng.integers(6, 16), 3)).astype(np.float32)
    base = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    image[:] = np.clip(base * rng.uniform(0.3, 0.8) + rng.uniform(0, 80), 0, 255).astype(np.uint8)
    for _ in range(rng.integers(10, 30)):
        x, y, colour = rng.uniform(0, width), rng.uniform(0, height), cloth_colour(rng)
        shape = rng.integers(4)
        if shape == 0:
            _box(image, x, y, x + rng.uniform(10, 90), y + rng.uniform(10, 90), colour)
        elif shape == 1:
            _line(image, (x, y), (x + rng.uniform(-120, 120), y + rng.uniform(-120, 120)), colour, rng.integers(2, 14))
        elif shape == 2:
            _blob(image, x, y, rng.uniform(5, 40), rng.uniform(5, 40), colour, rng.uniform(0, 180))
        else:
            end = (x + rng.uniform(-15, 15), y + rng.uniform(25, 70))
            thickness = rng.integers(8, 18)
            _line(image, (x, y), end, colour * 0.6, thickness)
            _line(image, (x, y), end, colour, thickness * 0.6)
    image[ground:] = (image[ground:] * 0.5 + cloth_colour(rng) * 0.5).astype(np.uint8)
