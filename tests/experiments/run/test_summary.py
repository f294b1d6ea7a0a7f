"""`jmpose train --summary`: every config of the repository, nothing read or written."""

import jax
import pytest

from configs import backbone, jmpose
from experiments.run import clips
from experiments.run.building import build
from experiments.run.summary import summary
from experiments.systems import built
from jmpose_jax.errors import InputError


@pytest.mark.parametrize("config", [backbone.get_config("tiny"), jmpose.get_config("tiny")])
def test_the_batch_has_the_shapes_that_the_loader_makes(config, prepared):
    config.dataset.root = str(prepared)
    config.train.batch_size = 2
    loader = clips.train(config)
    try:
        batch = next(loader)
    finally:
        loader.close()
    found = jax.tree.map(lambda x: (x.shape, x.dtype), clips.spec(config, 2))
    assert found == jax.tree.map(lambda x: (x.shape, x.dtype), batch)


def test_the_table_of_a_config():
    text = summary(jmpose.get_config("tiny"), depth=1)
    assert "jmpose on one clip of (128, 96) pixels" in text
    for module in ("backbone", "heatmap_aggregation", "motion_encoder", "mutual_learning", "head"):
        assert f"\n  {module} " in text
    assert text.splitlines()[-1].startswith("total: ")


@pytest.mark.parametrize("estimator", ["vsd", "club"])
def test_the_model_is_the_one_that_is_trained(estimator):
    """An estimator with a critic gives the model parameters that the config alone does not tell of."""
    config = jmpose.get_config("tiny")
    config.model.predictors.estimators.redundancy = estimator
    *_, create = build(config, built(config), steps_per_epoch=10)
    params = jax.eval_shape(create, clips.spec(config)).params
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert summary(config).splitlines()[-1].startswith(f"total: {count:,} parameters")


def test_what_training_refuses_is_refused():
    config = jmpose.get_config("tiny")
    config.train.compute_dtype = "float8"
    with pytest.raises(InputError, match="compute_dtype='float8'"):
        summary(config)
    config = jmpose.get_config("tiny")
    config.model.predictors.estimators.redundancy = "guess"
    with pytest.raises(InputError, match="guess"):
        summary(config)


def test_a_config_that_describes_no_model():
    config = backbone.get_config("tiny")
    config.dataset.input_size = (128, 90)
    with pytest.raises(InputError, match="multiples of 16, not 128 x 90"):
        summary(config)
