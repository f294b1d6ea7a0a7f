"""Official outputs of the PyTorch originals, by the name of their golden file."""

import functools
import importlib.util
import json
import pathlib

import jax
import numpy as np
import pytest


class Official:
    """One golden file: state dict, inputs and outputs of an original, and their tolerances."""

    def __init__(self, folder: pathlib.Path, name: str):
        spec = importlib.util.spec_from_file_location("deterministic_weights", folder / "deterministic_weights.py")
        self.generator = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.generator)
        path = folder / "public" / f"{name}.json"
        self.layouts = folder / "layouts"
        self.spec = json.loads(path.read_text())
        self.arrays = np.load(path.with_suffix(".npz"))
        self._path = path

    @functools.cached_property
    def state_dict(self) -> dict[str, np.ndarray]:
        """PyTorch key -> array, rebuilt from its seed, which takes a while for large networks."""
        return self.generator.load_for_golden(str(self._path))

    def state_dict_as(self, layout: str) -> dict[str, np.ndarray]:
        """The same weights under the names of another layout table."""
        main = self.spec["weights"]["main"]
        rules, aliases = ([tuple(row) for row in main[key]] for key in ("rules", "aliases"))
        return self.generator.load(str(self.layouts / layout), main["seed"], main["gain"], rules, aliases)

    def input(self, name: str) -> np.ndarray:
        """An input, channels last."""
        array = self.arrays[f"in_{name}"]
        return np.moveaxis(array, 1, -1) if array.ndim == 4 else array

    def check(self, name: str, value) -> None:
        """Compare an output, channels last, with the original's within the golden's tolerance."""
        value = np.asarray(value)
        value = np.moveaxis(value, -1, 1) if value.ndim == 4 else value
        output = self.spec["outputs"][name]
        assert list(value.shape) == output["shape"], name
        kept = tuple(slice(None, None, stride) for stride in output.get("strides", [1] * value.ndim))
        np.testing.assert_allclose(value[kept], self.arrays[name], rtol=0, atol=output["tol_abs"], err_msg=name)


@pytest.fixture(scope="session")
def official(shared):
    """Official(name) of the folder of official outputs."""
    return lambda name: Official(shared / "golden", name)


@pytest.fixture(scope="session")
def random_variables():
    """random_variables(module, *inputs, **options): variables drawn by NumPy, which compiles nothing.

    Kernels are scaled by their fan-in; everything else lies near 1 for scales and variances and near 0 otherwise.
    """

    def draw(module, *inputs, seed=0, **options):
        rng = np.random.default_rng(seed)

        def leaf(path, abstract):
            values = rng.standard_normal(abstract.shape).astype(np.float32)
            name = path[-1].key
            if name == "kernel":
                return values / np.sqrt(np.prod(abstract.shape[-4:-1])).astype(np.float32)
            return np.abs(1 + 0.1 * values) if name in ("scale", "var") else 0.1 * values

        abstract = jax.eval_shape(lambda key: module.init(key, *inputs, **options), jax.random.key(0))
        return jax.tree_util.tree_map_with_path(leaf, abstract)

    return draw
