"""configs/hanet.py: every variant is whole, builds its network, and refuses what it is not."""

import jax
import pytest

from configs import hanet
from experiments.configuration.files import check, load
from experiments.configuration.limits import check_limits
from experiments.run import sequences
from experiments.systems import model_of, objective_of
from jmpose_jax.models.sequences.sampling import seen_frames

CHANNELS = {
    "embedded_3d": 42,
    "embedded_2d": 30,
    "posetrack": 30,
    "jhmdb": 30,
    "h36m": 51,
    "pw3d": 42,
    "aist": 42,
    "smpl": 144,
}


@pytest.mark.parametrize("data", hanet.VARIANTS)
@pytest.mark.parametrize("words", ["", ",deciwatch", ",smoothnet,official", ",masked,official"])
def test_every_variant_is_whole(data, words):
    config = hanet.get_config(data + words)
    check(config, data)
    check_limits(config)
    window = sequences.window_options(config)
    window.check(config.dataset.joints, config.dataset.dimensions)
    objective, model = objective_of(config), model_of(config)
    assert set(objective.term_weights()) == set(objective.TERMS)
    assert sequences.spec(config, 2).poses.shape == (2, config.dataset.window, CHANNELS[data])
    if config.model.name == "smoothnet":
        assert model.window == window.window
    else:
        assert model.channels == CHANNELS[data]
        assert seen_frames(window.window, model.interval).sum() >= 2
    assert ("official" in words) == (config.dataset.padding == "zeros")


@pytest.mark.parametrize("words", ["", ",deciwatch", ",smoothnet"])
def test_the_network_fits_the_batch(words):
    config = hanet.get_config("posetrack" + words)
    batch, model = sequences.spec(config, 2), model_of(config)
    output = jax.eval_shape(lambda key, x: model.init_with_output(key, x)[0], jax.random.key(0), batch)
    assert output.poses.shape == batch.poses.shape


def test_published_size():
    """On AIST++; the published network also has a projection and norms that nothing reads (`keep_unused`)."""
    config = hanet.get_config("aist")
    config.model.keep_unused = True
    shapes = jax.eval_shape(model_of(config).init, jax.random.key(0), sequences.spec(config))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) / 1e6 == pytest.approx(5.04, abs=0.01)


@pytest.mark.parametrize("variant", ["h37m", "jhmdb,better", "jhmdb,deciwatch,smoothnet", "jhmdb,deciwatch,masked"])
def test_no_such_variant(variant):
    with pytest.raises(ValueError, match="configs/hanet.py"):
        hanet.get_config(variant)


def test_channels_follow_the_data():
    config = load("configs/hanet.py:embedded_3d")
    config.dataset.joints = 5
    assert config.model.channels == 15 and model_of(config).channels == 15


def test_the_grid_is_the_table_of_the_supplement():
    grid = hanet.get_grid()
    rows = grid["features"]
    switches = [
        tuple(row[f"model.{name}"] for name in ("flow", "velocity", "acceleration", "weight_bias")) for row in rows
    ]
    assert switches[0] == (False,) * 4 and switches[-1] == (True,) * 4
    assert all(sum(a) + 1 == sum(b) for a, b in zip(switches, switches[1:]))
