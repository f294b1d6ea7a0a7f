"""The study of motion at its smallest."""

import numpy as np

from benchmarks.tracking_motion import MOTIONS, dis, lucas_kanade, measure, table


def test_flows_find_a_shift():
    import cv2

    rng = np.random.default_rng(0)
    before = cv2.GaussianBlur(rng.integers(0, 255, (120, 160), np.uint8), (0, 0), 2)
    after = np.roll(before, (2, 3), (0, 1))
    points = rng.uniform(40, 80, (12, 2)).astype(np.float32)
    for flow in (dis, lucas_kanade):
        np.testing.assert_allclose(np.median(flow(before, after, points), axis=0), [3, 2], atol=0.5)


def test_rows():
    rows = measure(1, 9, [0])
    assert {(row["motion"], row["stride"]) for row in rows} == {(motion, n) for motion in MOTIONS for n in (1, 3)}
    assert all(row["mota"] <= 100 and 0 <= row["idf1"] <= 100 for row in rows)
    assert [row["milliseconds_a_frame"] > 0 for row in rows[:8:2]] == [False, False, True, True]
    assert table(rows).count("\n") == len(rows) + 1
