"""Packets: holes in the file, numbers by the index, faults of the container; and the times that they tell of."""

from fractions import Fraction
from types import SimpleNamespace

import av
import pytest

from jmpose_jax.inference.video.packets import Clock, Packets, Recovery


def through(path):
    with av.open(str(path)) as container:
        packets = Packets(container, container.streams.video[0])
        found = [(number, packet is not None, packets.damaged, len(packets.skipped)) for number, packet in packets]
        return found


@pytest.mark.parametrize("name", ["v.mkv", "v.avi", "v.ts", "v.mp4"])
def test_a_sound_file(make_video, name):
    found = through(make_video(name, 15))
    assert [number for number, *_ in found] == list(range(16))
    assert not any(damaged or skipped for *_, damaged, skipped in found) and not found[-1][1]


def erased(path, number):
    """Make what stands at a packet's place and before it unreadable."""
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][number]
        start, size = packet.pos - 8, packet.size
    raw = bytearray(path.read_bytes())
    raw[start : start + size + 8] = bytes(size + 8)
    path.write_bytes(raw)
    return path


def test_the_index_numbers_the_packets(make_video):
    path = erased(make_video("v.avi", 15, codec="mjpeg", pixels="yuvj420p"), 6)
    found = through(path)
    numbers = [number for number, there, *_ in found if there]
    assert numbers[:6] == list(range(6)) and numbers[-1] == 14
    assert sum(skipped for *_, skipped in found) == 15 - len(numbers) > 0


def test_bytes_of_no_packet_are_damage(make_video):
    found = through(erased(make_video("v.mkv", 15, codec="mjpeg", pixels="yuvj420p"), 6))
    assert any(damaged for *_, damaged, _ in found)


def test_a_container_that_faults_is_read_on():
    class Container:
        format = SimpleNamespace(name="mpeg")
        reads = 0

        def demux(self, stream=None):
            while True:
                self.reads += 1
                if self.reads in (3, 4):
                    raise av.error.InvalidDataError(1, "bad")
                if self.reads > 8:
                    raise av.error.InvalidDataError(1, "bad to the end")
                yield SimpleNamespace(size=5, pos=None, stream=stream)

    stream = SimpleNamespace(index=0)
    packets = list(Packets(Container(), stream))
    assert [number for number, _ in packets] == [0, 1, 2, 3, 4, 5, 6] and packets[-1][1] is None


def test_times_grow():
    clock = Clock(Fraction(1, 1000), Fraction(10))
    assert [clock.at(key) for key in (500, 600, 650)] == [0, Fraction(1, 10), Fraction(3, 20)]
    assert clock.at(650) == Fraction(151, 1000)  # twice the same: a fault
    assert clock.at(None) == Fraction(251, 1000)
    assert clock.at(900) == Fraction(4, 10)
    clock.at(9000)
    begun = clock.at(0)  # anew
    assert begun == Fraction(86, 10) and clock.at(100) == Fraction(87, 10)


def test_what_a_fault_affects():
    def affected(recovery, packets, complained):
        found = []
        for number, (pts, keyframe) in enumerate(packets):
            if recovery.affects(SimpleNamespace(pts=pts, is_keyframe=keyframe, is_corrupt=False)):
                found.append(number)
            if number in complained:
                recovery.complaint()
        return found

    packets = [(0, True), (1, False), (2, False), (5, True), (3, False), (4, False), (6, False), (7, True), (8, False)]
    assert affected(Recovery(True, True), packets, [1]) == [2, 4, 5]
    assert affected(Recovery(True, True), packets, [1, 4]) == [2, 4, 5]
    assert affected(Recovery(True, True), packets, [6, 7]) == [8]
    assert affected(Recovery(True, False), packets, [1]) == [2]
    assert affected(Recovery(True, True), packets, []) == []
