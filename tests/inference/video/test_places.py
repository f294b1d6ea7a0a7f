"""The place of every picture: packets without one, late ones, a constant rate; never a gap in a sound stream."""

import random

import pytest

from jmpose_jax.inference.video.places import Places


def go(places, packets, came, keyframes=None, refused=()):
    """Send all packets, then let pictures come: the places, each the key of a picture, or of a lost one negative.

    Keys are time stamps above 0 where the places are timed, else packet numbers; lost ones have none then, and are -1.
    """
    numbers = {key: number for number, key in enumerate(packets)}
    for number, key in enumerate(packets):
        timed = places._timed
        places.packet(number, key if timed else None, keyframe=keyframes is None or key in keyframes)
        if key in refused:
            places.failed(number)
    given = [place for key in came for place in places.picture(numbers.get(key, 999), key, picture=key)]
    return [place.picture if place.picture is not None else -(place.stamp or 1) for place in given + places.end()]


def damaged(*args, **flags):
    places = Places(*args, **flags)
    places.damaged = True
    return places


def test_a_sound_stream_has_no_gap():
    for times in ([1, 33, 67, 100, 300, 333], [1, 2, 3, 5, 6, 9], list(range(1, 50))):
        assert go(Places(True, 33), times, times) == times


def test_packets_that_are_not_meant_to_be_seen():
    # Beside each shown picture one that is not; two fields of each picture.
    times = [t for i in range(1, 30) for t in (10 * i, 10 * i + 1)]
    assert go(Places(True, 10), times, times[::2]) == times[::2]
    times = list(range(10, 600, 10))
    places = Places(True, 10)
    assert go(places, times, times[::2]) == times[::2] and places.accounted == len(times)


def test_packets_without_picture_are_gaps_of_a_damaged_stream():
    times = [10, 20, 30, 40, 50, 60]
    assert go(Places(True, 10), times, [10, 20, 50]) == [10, 20, 50]
    assert go(Places(True, 10), times, [10, 20, 50], refused=[30]) == [10, 20, -30, -40, 50, -60]
    assert go(damaged(True, 10), times, [20, 60]) == [-10, 20, -30, -40, -50, 60]


def test_packets_in_a_hole_of_a_constant_rate_are_gaps_though_nothing_was_said():
    times = list(range(10, 200, 10))
    came = [time for time in times if time not in (80, 90, 150)]
    places = Places(True, 10)
    assert go(places, times, came) == [time if time in came else -time for time in times]
    assert not places.jumps


def test_times_that_leave_out_whole_pictures_are_told():
    times = [time for time in range(10, 200, 10) if time not in (80, 90)]
    places = Places(True, 10)
    assert go(places, times, times) == times and places.jumps == [(7, 2)]
    places = Places(True, 10)
    times = [10, 20, 35, 40, 70, 100, 108]
    assert go(places, times, times) == times and not places.jumps


def test_a_late_picture_takes_its_place_or_none():
    times = list(range(10, 120, 10))
    late = [10, 20, 50, 30, 40, *times[5:]]
    assert go(damaged(True, 10), times, late) == times
    far = list(range(10, 500, 10))
    came = [time for time in far if time != 30]
    found = go(damaged(True, 10), far, [*came[:30], 30, *came[30:]])
    assert found == [-30 if time == 30 else time for time in far]
    assert go(damaged(True, 10), times, [*times[:4], times[3], *times[4:]]) == times  # twice the same


def test_what_no_decoder_shows_has_no_place():
    # Before the first keyframe, and displayed before it though stored behind it.
    places = Places(True, 10)
    packets = [(1, False), (30, True), (10, False), (20, False)]
    for number, (time, keyframe) in enumerate(packets):
        places.packet(number, time, keyframe=keyframe)
    places.packet(4, 5, keyframe=True, discard=True)
    places.packet(5, 40, keyframe=False)
    places.failed(5)
    found = places.picture(1, 30) + places.end()
    assert [(place.stamp, place.picture is None) for place in found] == [(30, False), (40, True)]
    assert places.accounted == 6


def test_a_file_that_must_begin_with_its_first_packet():
    assert go(damaged(False, 1, whole=True), range(6), [3, 4, 5], keyframes=[3]) == [-1, -1, -1, 3, 4, 5]
    assert go(damaged(False, 1), range(6), [3, 4, 5], keyframes=[3]) == [3, 4, 5]


def test_pictures_in_another_order_than_packets():
    sent = [5, 30, 10, 20, 60, 40, 50]
    assert go(Places(True, 10), sent, sorted(sent), refused=[99]) == sorted(sent)
    assert go(Places(True, 10), sent, [5, 10, 30, 40, 60], refused=[20]) == [5, 10, -20, 30, 40, -50, 60]


@pytest.mark.parametrize(
    "period,times", [(100 / 3, [1, 34, 68, 101, 134]), (10, [1, 11, 21, 31, 41]), (1, range(1, 6))]
)
@pytest.mark.parametrize("missing", [1, 2, 7, 40])
def test_a_constant_rate_tells_of_packets_that_are_not_there(period, times, missing):
    last = round(1 + (4 + missing + 1) * period)
    found = go(damaged(True, period), [*times, last], [*times, last])
    lost = [-key for key in found if key < 0]
    assert found[:5] == list(times) and found[-1] == last and len(lost) == missing
    assert lost == sorted(set(lost)) and times[-1] < lost[0] and lost[-1] < last
    assert all(abs(key - 1 - (5 + i) * period) <= 2 for i, key in enumerate(lost))


def test_a_variable_rate_tells_nothing():
    times = [1, 10, 35, 40, 70, 200]
    found = go(damaged(True, 10), times, times)
    assert found[-4:] == [35, 40, 70, 200]


def test_faulty_time_stamps_make_no_gaps():
    times = [1, 10, 20, 30, 40, 5, 60, 70]  # 5 should be 50
    found = go(damaged(True, 10), times, times)
    assert sorted(key for key in found if key > 0) == sorted(times) and sum(key < 0 for key in found) <= 1
    again = [*range(10, 1000, 10), *range(11, 100, 10)]  # time begins anew
    assert go(damaged(True, 10), again, again) == again
    assert go(Places(True, 10), again, again) == again


def test_numbers_in_the_order_of_the_file():
    assert go(Places(False, 1), range(6), [0, 1, 4], refused=[2]) == [0, 1, -1, -1, 4, -1]
    reordered = Places(False, 1, reordered=True)
    found = go(reordered, range(10), [0, 2, 3, 1, 5, 4, 8, 7], refused=[6])
    assert len(found) == 10 and [key for key in found if key >= 0] == [0, 2, 3, 1, 5, 4, 8, 7]
    skipping = Places(False, 1)
    skipping.skipped(0, keyframe=True)
    skipping.packet(1, None, keyframe=True)
    assert [place.picture for place in skipping.picture(1, None)] == [None, True]


def test_pictures_about_a_lost_one_of_unknown_place_have_faults():
    places = Places(False, 1, reordered=True)
    for number in range(12):
        places.packet(number, None, keyframe=number == 0)
    places.damaged = True
    came = [0, 2, 1, 4, 6, 5, 8, 7, 10, 9, 11]  # without 3
    found = [place for number in came for place in places.picture(number, None, number)] + places.end()
    assert len(found) == 12 and sum(place.picture is None for place in found) == 1
    sure = [(i, place.picture) for i, place in enumerate(found) if not place.faulty]
    assert all(abs(i - number) <= 1 for i, number in sure) and [i for i, number in sure[-2:]] == [10, 11]


@pytest.mark.parametrize("timed", [False, True])
def test_whatever_comes_and_however_late_the_places_are_the_packets(timed):
    rng = random.Random(0)
    for _ in range(300):
        count = rng.randrange(1, 40)
        keys = [10 * i + 10 for i in range(count)] if timed else list(range(count))
        lost = {key for key in keys if rng.random() < 0.2}
        came = [key for key in keys if key not in lost]
        for _ in range(rng.randrange(3)):
            if came:
                came.insert(rng.randrange(len(came)), came.pop(rng.randrange(len(came))))
        found = go(damaged(timed, 10 if timed else 1, reordered=rng.random() < 0.5), keys, came, refused=lost)
        assert len(found) == count
        if timed:
            assert [abs(key) for key in found] == keys


@pytest.mark.parametrize("begins_with_key", [False, True])
def test_what_is_before_the_first_keyframe_is_lost_where_a_stream_begins_with_one(begins_with_key):
    places = Places(True, 1.0, begins_with_key=begins_with_key)
    found = []
    for number in range(6):
        places.packet(number, number, keyframe=number == 3)
        if number >= 3:
            found += places.picture(number, number, number)
    found += places.end()
    lost = [0, 1, 2] if begins_with_key else []
    assert [place.stamp for place in found if place.picture is None] == lost
    assert [place.stamp for place in found if place.picture is not None] == [3, 4, 5]
