"""Threads beside the caller's: the order stays, faults come over, nothing runs on after the end."""

import threading
import time

import pytest

from jmpose_jax.inference.overlap import Behind, ahead


def threads():
    return [thread for thread in threading.enumerate() if thread.name in ("ahead", "behind")]


def test_items_come_in_order_and_from_one_other_thread():
    makers = set()

    def items():
        for i in range(50):
            makers.add(threading.current_thread())
            yield i

    assert list(ahead(items(), 3)) == list(range(50))
    assert len(makers) == 1 and threading.current_thread() not in makers
    assert threads() == []


def test_no_more_is_made_than_may_wait():
    made = []

    def items():
        for i in range(50):
            made.append(i)
            yield i

    found = ahead(items(), 3)
    assert next(found) == 0
    for _ in range(100):
        if len(made) == 5:
            break
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3, 4]  # one taken, three that wait, one in the maker's hand
    found.close()
    assert threads() == []


def test_a_fault_comes_after_the_items_before_it():
    def items():
        yield from range(3)
        raise ValueError("no third")

    taken = []
    with pytest.raises(ValueError, match="no third"):
        for item in ahead(items(), 8):
            taken.append(item)
    assert taken == [0, 1, 2] and threads() == []


def test_what_is_closed_early_closes_its_source_in_the_thread_that_ran_it():
    closed = []

    def items():
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    found = ahead(items(), 2)
    assert next(found) == 0
    found.close()
    assert closed == ["ahead"] and threads() == []


def test_an_iterable_without_close_and_one_without_items():
    assert list(ahead([1, 2], 1)) == [1, 2]
    assert list(ahead((), 1)) == []


def test_work_is_done_in_order_before_the_context_ends():
    done = []
    with Behind(2) as behind:
        for i in range(20):
            behind.do(lambda i=i: (time.sleep(0.001), done.append(i)))
    assert done == list(range(20)) and threads() == []


def test_few_pieces_of_work_wait():
    begun, gate = [], threading.Event()

    def work(i):
        begun.append(i)
        gate.wait(10)

    with Behind(2) as behind:
        handing = threading.Thread(target=lambda: [behind.do(lambda i=i: work(i)) for i in range(6)])
        handing.start()
        handing.join(0.2)
        assert handing.is_alive() and begun == [0]
        gate.set()
        handing.join(10)
    assert begun == list(range(6))


def test_a_fault_of_work_reaches_whoever_hands_over_more():
    done = []

    def work(i):
        if i == 2:
            raise OSError("no room")
        done.append(i)

    with pytest.raises(OSError, match="no room"), Behind(2) as behind:
        for i in range(100):
            behind.do(lambda i=i: work(i))
            time.sleep(0.001)
    assert done == [0, 1] and threads() == []


def test_a_fault_of_the_last_work_is_not_lost():
    def fails():
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"), Behind(2) as behind:
        behind.do(fails)


def test_a_fault_of_the_caller_drops_what_has_not_begun():
    gate, done = threading.Event(), []
    with pytest.raises(KeyError), Behind(5) as behind:
        behind.do(lambda: (gate.wait(10), done.append(0)))
        for i in range(1, 5):
            behind.do(lambda i=i: done.append(i))
        threading.Timer(0.05, gate.set).start()
        raise KeyError
    assert done in ([0], []) and threads() == []
