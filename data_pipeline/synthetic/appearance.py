"""What people wear: colours of skin, hair and clothes, and pieces of cloth laid over the limbs."""

import colorsys
import dataclasses

import numpy as np

from data_pipeline.synthetic.parts import LIMB, LIMBS

Colour = np.ndarray  # float [3], RGB 0..255

_SKIN = ((241, 194, 165), (224, 172, 138), (198, 140, 100), (160, 104, 70), (120, 76, 50), (82, 52, 38))
_HAIR = ((28, 22, 20), (52, 34, 24), (92, 58, 34), (150, 104, 56), (196, 160, 96), (132, 60, 34), (150, 148, 146))


@dataclasses.dataclass(frozen=True)
class Cover:
    """Cloth over a stretch of a limb.

    Attributes:
      limb: index of the limb.
      span: (from, to) as a share of the limb's axis.
      widen: radius against the limb's own.
      colour: of the cloth.
      frontal: whether it shows only where the face looks towards the camera.
    """

    limb: int
    span: tuple[float, float]
    widen: float
    colour: Colour
    frontal: bool = False


@dataclasses.dataclass(frozen=True)
class Appearance:
    """How a person looks.

    Attributes:
      limb_colours: colour of each limb.
      covers: cloth over the limbs, in drawing order.
      shirt: colour of the torso.
      trousers: colour of the pelvis.
      skin: colour.
      hair: colour.
      long_hair: whether hair hangs to the shoulders.
      bands: (from, to, colour) of stripes across the torso, as shares of the spine.
      print: colour of the print on the chest or None.
      back_print: colour of the print on the back or None.
      open_collar: whether skin shows below the neck.
    """

    limb_colours: tuple[Colour, ...]
    covers: tuple[Cover, ...]
    shirt: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    long_hair: bool
    bands: tuple[tuple[float, float, Colour], ...]
    print: Colour | None
    back_print: Colour | None
    open_collar: bool


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue, saturation and value, each 0..1."""
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1)))


def cloth_colour(rng: np.random.Generator, darkest: float = 0.2, lightest: float = 0.95) -> Colour:
    """A colour as clothes have it: often muted, sometimes grey, now and then loud."""
    kind = rng.random()
    value = rng.uniform(darkest, lightest)
    if kind < 0.25:
        return hsv(rng.random(), rng.uniform(0, 0.12), value)
    if kind < 0.7:
        return hsv(rng.random(), rng.uniform(0.25, 0.6), value)
    return hsv(rng.random(), rng.uniform(0.6, 0.95), max(value, 0.45))


def random_appearance(rng: np.random.Generator) -> Appearance:
    """Draws clothes, skin and hair."""
    skin = np.clip(np.array(_SKIN[rng.integers(len(_SKIN))]) * rng.uniform(0.9, 1.08), 0, 255)
    hair = np.clip(np.array(_HAIR[rng.integers(len(_HAIR))]) * rng.uniform(0.8, 1.2), 0, 255)
    shirt, trousers = cloth_colour(rng), cloth_colour(rng, 0.15, 0.8)
    accent, shoes = cloth_colour(rng, 0.5), cloth_colour(rng, 0.1, 0.95)
    # Without contrast between shirt and trousers even people cannot find hips.
    if np.abs(shirt - trousers).sum() < 60:
        trousers = np.clip(255 - trousers, 30, 200)
    sleeves = rng.choice(["long", "short", "none"], p=[0.4, 0.48, 0.12])
    legs = rng.choice(["long", "short", "tights"], p=[0.62, 0.28, 0.1])
    colours = {limb.name: skin for limb in LIMBS}
    covers: list[Cover] = []

    def cover(name, span, widen, colour):
        covers.extend(Cover(LIMB[f"{side}_{name}"], span, widen, colour) for side in ("left", "right"))

    def dye(name, colour):
        colours.update({f"{side}_{name}": colour for side in ("left", "right")})

    dye("foot", shoes)
    if legs == "short":
        length = rng.uniform(0.5, 0.85)
        cover("thigh", (0.0, length), 1.14, trousers)
        if rng.random() < 0.6:
            cover("shank", (rng.uniform(0.45, 0.8), 1.0), 1.08, cloth_colour(rng, 0.3))
    else:
        dye("thigh", trousers)
        dye("shank", trousers)
        if legs == "long":
            cover("shank", (0.72, 0.9), 1.16, trousers)
        elif rng.random() < 0.5:
            cover("shank", (0.45, 1.0), 1.1, shoes)  # boots
    if sleeves == "long":
        dye("upper_arm", shirt)
        dye("forearm", shirt)
        cover("forearm", (0.82, 0.92), 1.15, shirt * 0.92)
    elif sleeves == "short":
        cover("upper_arm", (0.0, rng.uniform(0.4, 0.75)), 1.1, shirt)
    if rng.random() < 0.12:
        where = rng.uniform(0.15, 0.3)
        cover("upper_arm", (where, where + 0.08), 1.1, accent)
    if rng.random() < 0.15:
        dye("hand", cloth_colour(rng))
    if rng.random() < 0.2:
        covers.append(Cover(LIMB[f"{rng.choice(['left', 'right'])}_forearm"], (0.88, 0.93), 1.2, accent))
    style = rng.choice(["hair", "bald", "cap"], p=[0.74, 0.1, 0.16])
    colours["skull"] = skin * 0.97 if style == "bald" else hair
    colours["hair"] = hair * 0.9
    colours["nose"] = skin * 0.9
    if style == "cap":
        cap = cloth_colour(rng, 0.3)
        covers.append(Cover(LIMB["skull"], (0.62, 0.68), 1.1, cap))
        covers.append(Cover(LIMB["face"], (1.0, 1.15), 0.95, cap * 0.9, frontal=True))
    elif style == "hair":
        covers.append(Cover(LIMB["face"], (1.35, 1.4), 0.72, hair, frontal=True))
    if rng.random() < 0.15:
        covers.append(Cover(LIMB["face"], (-0.2, -0.1), 0.8, hair, frontal=True))  # beard
    return Appearance(
        limb_colours=tuple(np.asarray(colours[limb.name], float) for limb in LIMBS),
        covers=tuple(covers),
        shirt=shirt,
        trousers=trousers,
        skin=skin,
        hair=hair,
        long_hair=style != "bald" and rng.random() < 0.35,
        bands=_bands(rng, accent),
        print=cloth_colour(rng, 0.4) if rng.random() < 0.5 else None,
        back_print=accent if rng.random() < 0.3 else None,
        open_collar=rng.random() < 0.4,
    )


def _bands(rng, accent):
    kind = rng.random()
    if kind < 0.2:  # striped all over
        step = rng.uniform(0.12, 0.2)
        return tuple((share, share + 0.4 * step, accent) for share in np.arange(0.12, 0.95, step))
    if kind < 0.35:
        share = rng.uniform(0.4, 0.75)
        return ((share, share + rng.uniform(0.08, 0.2), accent),)
    return ()
