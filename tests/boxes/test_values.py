"""A number in quotation marks is that number, in every place alike; what is no number is refused by its place."""

import pytest

from jmpose_jax.boxes.values import box, image_size, is_person, number, track, whole
from jmpose_jax.errors import InputError


@pytest.mark.parametrize("value", [7, 7.0, "7", " 7 ", "7.0", "+7"])
def test_a_number_and_its_text_are_alike(value):
    assert number(value, "x") == 7.0 and whole(value, "x") == 7 and track(value, "x") == 7
    assert is_person(value, "x", (7,)) and not is_person(value, "x")
    assert box([value] * 4, "x") == (7.0, 7.0, 7.0, 7.0)


@pytest.mark.parametrize(
    "value", [True, None, [1], {}, "", "a", "nan", "inf", "1_000", "٧", float("nan"), float("inf"), 10**400, "9" * 50]
)
def test_what_is_no_number_is_refused(value):
    for read in (number, whole):
        with pytest.raises(InputError, match=r"^the entry"):
            read(value, "the entry")
    with pytest.raises(InputError, match=r"^the entry\[2\]"):
        box([1, 2, value, 4], "the entry")


def test_identities_are_numbers_or_names_or_unknown():
    assert track("person_a", "x") == "person_a"
    assert track(None, "x") is track(-1, "x") is track("-1", "x") is track(" ", "x") is None
    for value in (-2, 1.5, True, [3], {}, 2**63, float("nan")):
        with pytest.raises(InputError, match="^x"):
            track(value, "x")


def test_a_category_may_be_a_word():
    assert is_person("Person", "x") and not is_person("car", "x")
    with pytest.raises(InputError, match="^x"):
        is_person([1], "x")


def test_corners_become_width_and_height():
    assert box([10, 20, 40, 80], "x", corners=True) == (10, 20, 30, 60)


@pytest.mark.parametrize("value", ["None", "nan", "NULL", "", " n/a "])
def test_what_programs_write_for_nothing_is_no_identity(value):
    assert track(value, "x") is None


def test_the_size_of_an_image_may_be_absent():
    assert image_size("640", 480.0, "x") == (640, 480)
    assert image_size(None, 480, "x") is image_size(0, 0, "x") is None
    with pytest.raises(InputError, match="^x"):
        image_size("wide", 480, "x")
