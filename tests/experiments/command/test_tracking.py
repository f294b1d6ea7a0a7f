"""Flags of tracking: defaults by where boxes come from, and what is refused."""

import numpy as np
import pytest
from absl import flags

from experiments.command.tracking import MIN_TRACK_LENGTH, define_tracking
from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import BoxTable, Detections, HogDetector, WholeFrame
from jmpose_jax.inference.movenet import MIN_BOX_SCORE, MIN_PERSON_SCORE

BOX = np.array([[0, 0, 10, 10]], np.float32), np.ones(1, np.float32)
UNTRACKED = BoxTable({0: Detections(*BOX)}, "boxes.json")
TRACKED = BoxTable({0: Detections.empty(), 1: Detections(*BOX, np.array([4]))}, "boxes.json")


@pytest.fixture
def given():
    """Function that parses flags."""
    holder = define_tracking()
    names = [flag.name for flag in flags.FLAGS.flags_by_module_dict()["experiments.command.tracking"]]

    def parse(*arguments):
        flags.FLAGS(["jmpose predict", *arguments])
        return holder

    yield parse
    flags.FLAGS.unparse_flags()
    for name in names:
        delattr(flags.FLAGS, name)


def test_movenets_defaults(given):
    options = given().options(None, True)
    assert (options.min_box_score, options.min_person_score) == (MIN_BOX_SCORE, MIN_PERSON_SCORE)
    assert options.min_track_length == MIN_TRACK_LENGTH and options.max_people is None


def test_who_asks_for_weaker_people_gets_them(given):
    options = given("--min_box_score=0.03", "--max_people=3", "--min_track_length=2").options(None, True)
    assert options.min_person_score == pytest.approx(MIN_PERSON_SCORE * 0.2)
    assert (options.min_box_score, options.max_people, options.min_track_length) == (0.03, 3, 2)


def test_surer_boxes_need_no_surer_poses(given):
    assert given("--min_box_score=0.9").options(None, True).min_person_score == MIN_PERSON_SCORE


def test_of_other_models_and_boxes_no_scale_is_known(given):
    for detector, movenet, length in ((None, False, MIN_TRACK_LENGTH), (HogDetector(), True, MIN_TRACK_LENGTH),
                                      (UNTRACKED, True, 1)):  # fmt: skip
        options = given().options(detector, movenet)
        assert options.min_person_score < -1e9 and options.min_track_length == length
        assert (options.min_box_score < -1e9) == (detector is not None)


@pytest.mark.parametrize("detector", [WholeFrame(), TRACKED])
@pytest.mark.parametrize("flag", ["--max_people=2", "--min_box_score=0.5", "--min_track_length=3"])
def test_identities_of_their_own(given, detector, flag):
    assert given().options(detector, True).max_people is None
    with pytest.raises(InputError, match=flag):
        given(flag).options(detector, True)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_score_that_is_none(given, value):
    with pytest.raises(InputError, match="--min_box_score"):
        given(f"--min_box_score={value}").check()


@pytest.mark.parametrize("flag", ["--max_people=0", "--min_track_length=0", "--max_people=two"])
def test_numbers_that_are_none(given, flag):
    with pytest.raises(flags.IllegalFlagValueError):
        given(flag)
