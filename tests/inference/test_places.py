"""The place of lost pictures: from packets without one, from a constant rate; never in a sound stream."""

import random

import pytest

from jmpose_jax.inference.places import Places


def go(places, packets, came, keyframes=None, refused=()):
    """Send all packets, then let pictures come: what is reported lost before each, and at the end."""
    for key in packets:
        places.packet(key, keyframe=keyframes is None or key in keyframes)
        if key in refused:
            places.failed(key)
    return [places.picture(key) for key in came], places.end()


def test_a_sound_stream_has_no_gap():
    for times in ([0, 33, 67, 100, 300, 333], [0, 1, 2, 4, 5, 8], list(range(50))):
        assert go(Places(True, 33), times, times) == ([[]] * len(times), [])


def test_packets_without_picture_are_gaps_of_a_damaged_stream_alone():
    times = [10, 20, 30, 40, 50, 60]
    assert go(Places(True, 10), times, [10, 20, 50]) == ([[], [], []], [])
    assert go(Places(True, 10), times, [10, 20, 50], refused=[30]) == ([[], [], [30, 40]], [60])
    corrupt = Places(True, 10)
    for time in times:
        corrupt.packet(time, keyframe=True, corrupt=time == 30)
    assert [corrupt.picture(time) for time in (20, 60)] == [[10], [30, 40, 50]]


def test_what_no_decoder_shows_has_no_place():
    # Before the first keyframe, and displayed before it though stored behind it.
    places = Places(True, 10)
    places.packet(0, keyframe=False)
    places.packet(30, keyframe=True)
    places.packet(10, keyframe=False)
    places.packet(20, keyframe=False)
    places.packet(5, keyframe=True, discard=True)
    places.packet(40, keyframe=False)
    places.failed(40)
    assert places.picture(30) == [] and places.end() == [40]


def test_pictures_in_another_order_than_packets():
    sent = [0, 30, 10, 20, 60, 40, 50]
    assert go(Places(True, 10), sent, [0, 10, 20, 30, 40, 50, 60], refused=[99]) == ([[]] * 7, [])
    assert go(Places(True, 10), sent, [0, 10, 30, 40, 60], refused=[20]) == ([[], [], [20], [], [50]], [])


@pytest.mark.parametrize("period,times", [(100 / 3, [0, 33, 67, 100, 133]), (10, [0, 10, 20, 30, 40]), (1, range(5))])
@pytest.mark.parametrize("missing", [1, 2, 7, 40])
def test_a_constant_rate_tells_of_packets_that_are_not_there(period, times, missing):
    places = Places(True, period)
    places.damaged = True
    last = round((4 + missing + 1) * period)
    before, _ = go(places, [*times, last], [*times])
    lost = places.picture(last)
    assert before == [[]] * 5 and len(lost) == missing
    assert lost == sorted(set(lost)) and times[-1] < lost[0] and lost[-1] < last
    assert all(abs(key - (5 + i) * period) <= 2 for i, key in enumerate(lost))


def test_a_variable_rate_tells_nothing():
    times = [0, 10, 35, 40, 70, 200]
    places = Places(True, 10)
    places.damaged = True
    found, _ = go(places, times, times)
    assert found[3:] == [[], [], []]


def test_faulty_time_stamps_make_no_gaps():
    places = Places(True, 10)
    places.damaged = True
    times = [0, 10, 20, 30, 40, 5, 60, 70]  # 5 should be 50: it shows where it comes, and its own place is a gap
    found, _ = go(places, times, times)
    assert sum(len(lost) for lost in found) <= 1
    again = [*range(0, 1000, 10), *range(0, 100, 10)]  # time begins anew
    places = Places(True, 10)
    places.damaged = True
    assert sum(len(lost) for lost in go(places, again, again)[0]) == 0


def test_numbers_in_the_order_of_the_file():
    plain = Places(False, 1)
    assert go(plain, range(6), [0, 1, 4], refused=[2]) == ([[], [], [2, 3]], [5])
    reordered = Places(False, 1, reordered=True)
    found, end = go(reordered, range(10), [0, 2, 3, 1, 5, 4, 8, 7], refused=[6])
    assert [key for lost in found for key in lost] == [6] and end == [9]
    skipping = Places(False, 1)
    skipping.skipped(0, keyframe=True)
    skipping.packet(1, keyframe=True)
    assert skipping.picture(1) == [0]


def test_whatever_comes_each_lost_picture_is_told_once():
    rng = random.Random(0)
    for _ in range(300):
        timed, count = rng.random() < 0.5, rng.randrange(1, 30)
        keys = [10 * i for i in range(count)] if timed else list(range(count))
        lost = {key for key in keys if rng.random() < 0.2}
        came = [key for key in keys if key not in lost]
        places = Places(timed, 10 if timed else 1)
        found, end = go(places, keys, came, refused=lost)
        told = [key for keys in found for key in keys] + end
        assert sorted(told) == sorted(lost)
