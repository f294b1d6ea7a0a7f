import contextlib
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from jmpose_jax.errors import InputError
from jmpose_jax.weights import load_torch, save_torch
from jmpose_jax.weights.pickle_reader import read_pickle

NAMES = ("plain", "wrapped", "half", "bfloat16", "parameters", "views")
TENSORS = {
    "conv.weight": np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3),
    "norm.num_batches_tracked": np.asarray(7, np.int64),
    "empty": np.zeros((0, 4), np.float32),
}


@pytest.mark.parametrize("format", ["zip", "legacy"])
@pytest.mark.parametrize("name", NAMES)
def test_reads_what_pytorch_wrote(golden, name, format):
    expected = np.load(golden / "torch" / "expected.npz")
    found = load_torch(golden / "torch" / f"{name}.{format}.pth")
    keys = [key for key in expected.files if key.startswith(f"{name}/")]
    assert {f"{name}/{key}" for key in found} == set(keys)
    for key in keys:
        value = found[key.split("/", 1)[1]]
        assert value.shape == expected[key].shape
        np.testing.assert_array_equal(value.astype(expected[key].dtype), expected[key])
    if name in ("half", "bfloat16"):
        assert {"half": "float16", "bfloat16": "bfloat16"}[name] in {str(v.dtype) for v in found.values()}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_reads_what_it_wrote(tmp_path, suffix):
    path = tmp_path / "new" / f"weights{suffix}"
    save_torch(path, TENSORS)
    found = load_torch(path)
    assert list(map(str, path.parent.iterdir())) == [str(path)]
    assert set(found) == set(TENSORS)
    for key, value in TENSORS.items():
        assert found[key].shape == value.shape and found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value)


def test_wrapped_safetensors_lose_the_prefix(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors.numpy.save({"module.a": np.ones(2, np.float32)}))
    assert set(load_torch(path)) == {"a"}


def test_other_suffixes_are_refused(tmp_path):
    with pytest.raises(InputError, match="weights.bin"):
        save_torch(tmp_path / "weights.bin", TENSORS)
    assert not list(tmp_path.iterdir())


class Bomb:
    """Runs a command in whoever unpickles it with Python's unpickler."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.system, (f"touch {self.victim}",)


def legacy_header():
    magic, version, machine = 0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}
    return b"".join(pickle.dumps(value, 2) for value in (magic, version, machine))


def as_zip(data, name="archive/data.pkl", method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize("place", ["bare", "zip", "legacy", "nested"])
def test_code_in_a_pickle_is_refused_and_never_runs(tmp_path, protocol, place):
    victim = tmp_path / "victim"
    bomb = Bomb(victim)
    content = pickle.dumps({"state_dict": {"a": [bomb]}} if place == "nested" else bomb, protocol)
    path = tmp_path / "bomb.pth"
    path.write_bytes({"zip": as_zip(content), "legacy": legacy_header() + content}.get(place, content))
    with pytest.raises(InputError, match="bomb.pth: .*refused"):
        load_torch(path)
    assert not victim.exists()
    pickle.loads(pickle.dumps(bomb, protocol))  # the bomb is a real one
    assert victim.exists()


@pytest.mark.parametrize(
    "opcodes",
    [
        b"\x80\x02cbuiltins\nexec\n(X\x01\x00\x00\x001tR.",  # a call by name
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.",  # a name built from the stack
        b"(S'ls'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'ls'\no.",  # OBJ
        b"\x80\x02cos\nsystem\n)\x81.",  # NEWOBJ
        b"\x80\x02\x82\x01.",  # a code of the extension registry
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x08\x00\x00\x00__code__K\x01sb.",  # state for one of our names
        b"\x80\x02ccollections\nOrderedDict\n)R(K\x01K\x02K\x03tb}b(lK\x01a.",  # a list where a dict belongs
    ],
)
def test_other_ways_to_run_code_are_refused(tmp_path, opcodes):
    path = tmp_path / "crafted.pth"
    path.write_bytes(as_zip(opcodes))
    with pytest.raises(InputError, match=r"crafted.pth: .*(refused|damaged|not a state dict)"):
        load_torch(path)


def test_a_whole_module_is_refused_with_advice(golden):
    with pytest.raises(InputError, match="whole_module.pth: .*state dict alone"):
        load_torch(golden / "torch" / "whole_module.pth")


@pytest.mark.parametrize("name", ["plain.zip.pth", "plain.legacy.pth"])
def test_truncated_files_are_named_wherever_they_end(golden, tmp_path, name):
    data = (golden / "torch" / name).read_bytes()
    path = tmp_path / "cut.pth"
    for length in range(0, len(data) - 1, 61):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match="cut.pth"):
            load_torch(path)


def test_a_changed_byte_in_a_storage_is_noticed(golden, tmp_path):
    data = bytearray((golden / "torch" / "views.zip.pth").read_bytes())
    place = data.find(struct.pack("<4f", 8, 9, 10, 11))
    data[place] ^= 1
    path = tmp_path / "flipped.pth"
    path.write_bytes(data)
    with pytest.raises(InputError, match="flipped.pth is truncated or damaged"):
        load_torch(path)


def tensor_pickle(offset, shape, strides, numel=4, kind=b"torch\nFloatStorage", storage=None):
    """A state dict of one tensor "a" over storage 0, or over what is given instead, as protocol 0 text."""

    def numbers(values):
        return b"(" + b"".join(b"I%d\n" % n for n in values) + b"t"

    size = b"N" if numel is None else b"I%d\n" % numel
    storage = storage or b"(S'storage'\nc" + kind + b"\nS'0'\nS'cpu'\n" + size + b"tQ"
    view = b"I%d\n" % offset + numbers(shape) + numbers(strides) + b"I00\n(dt"
    return b"(dS'a'\nctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + b"Rs."


def with_storage(content, data=bytes(16), method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", data)
    return out.getvalue()


def test_a_tensor_written_by_hand_is_read(tmp_path):
    path = tmp_path / "hand.pth"
    path.write_bytes(with_storage(tensor_pickle(1, (3,), (1,)), np.arange(4, dtype="<f4").tobytes()))
    np.testing.assert_array_equal(load_torch(path)["a"], [1, 2, 3])


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (with_storage(tensor_pickle(2, (3,), (1,))), "beyond its storage"),
        (with_storage(tensor_pickle(0, (2, 2), (2, 2))), "beyond its storage"),
        (with_storage(tensor_pickle(0, (10**6, 10**6), (0, 0))), "beyond its storage"),
        (with_storage(tensor_pickle(-1, (2,), (1,))), "negative"),
        (with_storage(tensor_pickle(3, (2,), (-1,))), "negative"),
        (with_storage(tensor_pickle(0, (2, 2), (1,))), "inconsistent"),
        (with_storage(tensor_pickle(0, (4,), (1,)), bytes(12)), "12 bytes"),
        (with_storage(tensor_pickle(0, (4,), (1,), kind=b"torch\nQInt8Storage")), "QInt8Storage"),
        (with_storage(tensor_pickle(0, (4,), (1,)), method=zipfile.ZIP_DEFLATED), "compressed"),
        (as_zip(tensor_pickle(0, (4,), (1,))), "archive/data/0 is absent"),
        (as_zip(b"", "readme.txt"), "no data.pkl"),
        (as_zip(pickle.dumps([1, 2], 2)), "a list, not a state dict"),
        (as_zip(pickle.dumps({"a": 1}, 2)), "no tensors"),
        (as_zip(pickle.dumps({"a": 1}, 2)[:-1]), "damaged|cut short"),
        (legacy_header(), "damaged|cut short"),
        (legacy_header() + pickle.dumps({}, 2) + pickle.dumps(["0"], 2), "belongs to no tensor"),
        (with_storage(tensor_pickle(0, (1,) * 70, (1,) * 70)), "damaged"),
        (with_storage(tensor_pickle(0, (0, 10**30), (1, 1))), "damaged"),
        (with_storage(tensor_pickle(0, (1,), (10**30,))), "damaged"),
        (with_storage(tensor_pickle(0, (4,), (1,), numel=None)), "no size"),
        (with_storage(tensor_pickle(0, (4,), (1,), storage=b"I5\n")), "no storage"),
        (with_storage(tensor_pickle(0, (4,), (1,), storage=b"(I1\nI2\nI3\nt")), "damaged"),
        (legacy_header() + pickle.dumps({}, 2) + pickle.dumps(5, 2), "damaged"),
        (legacy_header() + pickle.dumps({}, 2) + pickle.dumps([[1]], 2), "belongs to no tensor"),
        (b"hello, world", "no checkpoint"),
        (b"", "empty"),
    ],
)
def test_malformed_files_are_named(tmp_path, file, message):
    path = tmp_path / "malformed.pth"
    path.write_bytes(file)
    with pytest.raises(InputError, match=f"malformed.pth.*({message})"):
        load_torch(path)


def test_many_tensors_of_one_storage_take_its_memory_once(tmp_path):
    values = np.arange(1 << 18, dtype="<f4")  # 1 MiB
    one = tensor_pickle(0, values.shape, (1,), numel=values.size)[2:-1]
    items = b"".join(one.replace(b"S'a'", b"S'a%d'" % i) for i in range(300))
    path = tmp_path / "shared.pth"
    path.write_bytes(with_storage(b"(d" + items + b".", values.tobytes()))
    tracemalloc.start()
    try:
        tensors = load_torch(path)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert len(tensors) == 300 and all(np.array_equal(tensor, values) for tensor in tensors.values())


def test_a_length_beyond_the_file_claims_no_memory(tmp_path):
    path = tmp_path / "huge.pth"
    content = pickle.dumps({}, 2)
    path.write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + content)
    with pytest.raises(InputError, match="huge.pth"):
        load_torch(path)


def test_containers_that_contain_themselves_end(tmp_path):
    loop = {}
    loop["state_dict"] = loop
    doubled = [0]
    for _ in range(64):
        doubled = [doubled, doubled]
    path = tmp_path / "loop.pth"
    for content in (loop, {"a": doubled}):
        path.write_bytes(as_zip(pickle.dumps(content, 2)))
        with pytest.raises(InputError, match="no tensors"):
            load_torch(path)


DOUBLED = b"]" + b"q\x00h\x00\x86" * 64  # a few bytes that would take for ever to print


@pytest.mark.parametrize(
    "opcodes",
    [
        DOUBLED + b")R.",  # called
        b"(" + DOUBLED + b"K\x01K\x02K\x03K\x04tQ.",  # in the place of a storage's name
        b"(S'storage'\n" + DOUBLED + b"S'0'\nS'cpu'\nK\x04tQ.",
        b"}" + DOUBLED + b"K\x01s.",  # hashed as a key
        DOUBLED + DOUBLED + b"\x93)R.",  # as the name of a function
        b"}" + b")" + b"\x85" * 20_000 + b"K\x01s.",  # hashing it overflows the stack of the interpreter itself
        b"}" + b")" + b"\x85" * 300_000 + b"K\x01s.",  # that of Python's unpickler in C too
        b"(" * 20_000 + b"t" * 20_000 + b".",
    ],
    ids=["called", "tag", "type", "key", "name", "deep key", "deepest key", "marks"],
)
def test_bombs_of_nesting_end_at_once(tmp_path, opcodes):
    for name, content in (("zip.pth", as_zip(opcodes)), ("legacy.pth", legacy_header() + opcodes)):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{name}.*(refused|no storage|not supported|not a state|damaged|short)"):
            load_torch(path)


def repeated(once, again, times=20_000):
    """A list of one long thing, which is memo entry 1, and of what asks for it many times."""
    return b"\x80\x02](" + once + again * times + b"e."


MANY = 20_000
LONG_TUPLE = b"(" + b"K\x01" * MANY + b"tq\x01"
LONG_DICT = b"}(" + b"".join(b"J%bN" % struct.pack("<i", i) for i in range(MANY)) + b"uq\x01"
CALL = b"c%b\n%b\nq\x02"


@pytest.mark.parametrize(
    "opcodes",
    [
        repeated(LONG_DICT + CALL % (b"collections", b"OrderedDict"), b"h\x02h\x01\x85R"),
        repeated(LONG_TUPLE + CALL % (b"collections", b"OrderedDict"), b"h\x02h\x01\x85R"),
        repeated(LONG_TUPLE + CALL % (b"torch", b"Size"), b"h\x02h\x01\x85R"),
        repeated(LONG_TUPLE + CALL % (b"torch._utils", b"_rebuild_parameter"), b"h\x02h\x01R"),
        repeated(LONG_TUPLE + CALL % (b"torch._utils", b"_rebuild_tensor_v2"), b"h\x02(NK\x00h\x01h\x01tR"),
        repeated(LONG_TUPLE, b"h\x01Q"),
        b"\x80\x02}(" + LONG_TUPLE + b"N" + b"h\x01N" * MANY + b"u.",
        b"\x80\x02}(\x8b" + struct.pack("<i", 8 * MANY) + b"\x7f" * 8 * MANY + b"q\x01N" + b"h\x01N" * MANY + b"u.",
    ],
    ids=["dicts", "dicts of a tuple", "sizes", "arguments", "shapes", "storages", "tuples as keys", "numbers as keys"],
)
def test_bombs_of_repetition_end_at_once(tmp_path, opcodes):
    """A few bytes each ask for a copy, or a hash, of something long: the square of the file's length."""
    path = tmp_path / "bomb.pth"
    path.write_bytes(as_zip(opcodes))
    with pytest.raises(InputError, match="bomb.pth: .*(refused|damaged|no storage)"):
        load_torch(path)


def test_a_list_of_pairs_makes_one_dict(tmp_path):
    """Python 2 wrote an OrderedDict as a call with a list of pairs."""
    pairs = b"](](X\x01\x00\x00\x00aK\x05ee"
    content = b"\x80\x02" + CALL % (b"collections", b"OrderedDict") + pairs + b"q\x01\x85Rh\x02h\x01\x85R\x86."
    assert read_pickle(io.BytesIO(content), None) == ({"a": 5}, {})


@pytest.mark.parametrize(
    "opcodes",
    [
        b"r\xff\xff\xff\x7f.",  # memo entry 2 147 483 647, which Python's unpickler in C makes room for
        b"0\x96" + struct.pack("<Q", 1 << 40) + b".",  # a bytearray
        b"0\x8e" + struct.pack("<Q", 1 << 40) + b".",  # bytes
        b"0\x8d" + struct.pack("<Q", 1 << 40) + b".",  # text
        b"0\x95" + struct.pack("<Q", 1 << 40) + b"N.",  # a frame
    ],
)
def test_what_a_pickle_claims_takes_no_memory(opcodes):
    tracemalloc.start()
    try:
        with contextlib.suppress(InputError):
            read_pickle(io.BytesIO(b"\x80\x05N" + opcodes), None)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_names_from_a_file_fill_no_line_and_break_none(tmp_path):
    path = tmp_path / "names.pth"
    for name in (b"x" * 100_000, b"a\n\x1b[2J"):
        text = b"X" + struct.pack("<I", len(name)) + name
        path.write_bytes(as_zip(b"\x80\x04" + text + text + b"\x93)R."))
        with pytest.raises(InputError, match="names.pth: .*refused") as raised:
            load_torch(path)
        assert len(str(raised.value)) < 500 + len(str(path)) and str(raised.value).isprintable()


@pytest.mark.parametrize("name", ["absent.pth", "absent.safetensors"])
def test_absent_files_are_named(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: No such file"):
        load_torch(tmp_path / name)


def test_damaged_safetensors_are_named(tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(safetensors.numpy.save(dict(TENSORS))[:-4])
    with pytest.raises(InputError, match="cut.safetensors is no complete"):
        load_torch(path)


def safetensors_file(header, data=b""):
    content = json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "too small"),
        (struct.pack("<Q", 1 << 62) + b"{}", "too large"),
        (struct.pack("<Q", 4) + b"{no}", "JSON"),
        (safetensors_file({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}, bytes(4)), "no complete"),
        (safetensors_file({"a": {"dtype": "F32", "shape": [1] * 70, "data_offsets": [0, 4]}}, bytes(4)), "damaged"),
        (safetensors_file({"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)), "F8_E4M3"),
        (safetensors_file({"a": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}, bytes(8)), "C64"),
        (safetensors_file({"__metadata__": {"a": "b"}}), "no tensors"),
    ],
)
def test_malformed_safetensors_are_named(tmp_path, content, message):
    path = tmp_path / "malformed.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"malformed.safetensors.*{message}"):
        load_torch(path)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64, np.int64, np.bool_])
def test_safetensors_of_every_type_are_read_whatever_the_suffix(tmp_path, dtype):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    for name in ("weights.safetensors", "weights.pth"):
        (tmp_path / name).write_bytes(safetensors.numpy.save({"a": values}))
        found = load_torch(tmp_path / name)["a"]
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values)
