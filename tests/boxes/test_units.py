"""Files of other units than pixels and parts of 1 are refused, and names that contradict PoseTrack's ids."""

import pytest

from jmpose_jax.boxes.records import Content, Image, Row
from jmpose_jax.boxes.units import check_units
from jmpose_jax.errors import InputError


def content(*boxes, score=0.9, form="csv", **image):
    image = image or {"number": 0}
    return Content(
        form, (Image("line 1", **image),), tuple(Row(f"line {i}", 0, box, score) for i, box in enumerate(boxes))
    )


def test_boxes_that_are_parts_of_the_image_are_refused():
    part = (0.1, 0.2, 0.3, 1.0)
    for boxes in ([part], [part, (0, 0, 1, 1), (0, 0, 0, 50)]):
        with pytest.raises(InputError, match=r"^b: .*0\.1, 0\.2, 0\.3, 1.*width"):
            check_units("b", content(*boxes))
    for boxes in ([], [(0, 0, 0, 0)], [part, (10, 20, 30, 60)], [(0, 0, 2, 1)]):
        check_units("b", content(*boxes))


def test_percents_are_refused_but_of_mot():
    with pytest.raises(InputError, match="^b: line 0 has the score 87.*100"):
        check_units("b", content((1, 2, 30, 60), score=87))
    check_units("b", content((1, 2, 30, 60), score=87, form="mot"))
    check_units("b", content((1, 2, 30, 60), score=1.02))


@pytest.mark.parametrize(
    ("name", "identity", "right"),
    [
        ("val/100001_mpii_test/000003.jpg", 11000010003, True),
        ("val/100001_mpii_test/000004.jpg", 11000010003, True),  # names may count from 1
        ("val/100002_mpii_test/000003.jpg", 11000010003, False),
        ("val/100001_mpii_test/000007.jpg", 11000010003, False),
        ("val/100002_mpii_test/000007.jpg", 3, True),
    ],
)
def test_names_and_posetracks_ids_tell_the_same_frame(name, identity, right):
    if right:
        check_units("b", content(name=name, identity=identity))
    else:
        with pytest.raises(InputError, match="^b: line 1 .*different frames"):
            check_units("b", content(name=name, identity=identity))
