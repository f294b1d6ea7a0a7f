"""What a config's system is made of: its row in the table, its objective and weights, its evaluation and data."""

import functools
import inspect

import jax
import pytest

from configs import backbone, dcpose, hanet, jmpose, raft_synthetic, tdmi, tipsd
from experiments.run import clips
from experiments.systems import DATA_KINDS, EVALUATIONS, data_of, evaluation_of, model_of, objective_of
from jmpose_jax import losses
from jmpose_jax.errors import InputError
from jmpose_jax.systems import SYSTEMS, system

CONFIGS = {
    "image": backbone.get_config,
    "jmpose": jmpose.get_config,
    "dcpose": dcpose.get_config,
    "tdmi": tdmi.get_config,
    "tipsd": tipsd.get_config,
    "raft": raft_synthetic.get_config,
    **{name: functools.partial(hanet.get_config, f"embedded_3d,{name}") for name in hanet.NETWORKS},
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_row_names_what_there_is(name):
    config = CONFIGS[name]()
    assert isinstance(model_of(config), system(name).module)
    objective = objective_of(config)
    assert isinstance(objective, system(name).objective)
    assert set(objective.weights) == set(objective.TERMS) == set(objective.term_weights())
    evaluation, data = evaluation_of(config), data_of(config)
    of_data = ("train", "evaluate", "spec", "describe", "about", "identity")
    assert all(inspect.isfunction(getattr(data, part)) for part in of_data)
    parts = ("check", "check_training", "estimator", "scorer", "evaluate", "evaluate_run", "leave", "table")
    assert all(inspect.isfunction(getattr(evaluation, part)) for part in parts)
    assert evaluation.MEASURE.best.metric == evaluation.MEASURE.field


def test_every_kind_is_some_systems():
    assert {row.evaluation for row in SYSTEMS.values()} == set(EVALUATIONS)
    assert {row.data for row in SYSTEMS.values()} == set(DATA_KINDS)


def test_weights_are_those_of_the_config():
    assert objective_of(raft_synthetic.get_config()).term_weights() == {"sequence": 1.0, "endpoint_error": 0.0}
    assert objective_of(backbone.get_config()).term_weights() == {"heatmap": 100.0}


def test_alpha_multiplies_the_information_terms_alone():
    config = jmpose.get_config()
    before = objective_of(config).term_weights()
    config.loss.alpha = 2.0
    after = objective_of(config).term_weights()
    assert after["relevancy"] == pytest.approx(2 * before["relevancy"]) and after["heatmap"] == before["heatmap"]
    config.loss.normalization = "heatmap_loss"
    assert objective_of(config).term_weights()["relevancy"] == pytest.approx(100 * after["relevancy"])


def test_the_terms_are_made_by_the_estimators_of_the_models_predictors(shrink):
    config = shrink(jmpose.get_config(), "no data")
    config.model.predictors.estimators.redundancy = "club"
    model, batch = model_of(config), clips.spec(config, 2)
    output = jax.eval_shape(lambda b: model.init_with_output(jax.random.key(0), b)[0], batch)
    assert dict(output.predictions[0].estimators)["redundancy"] == "club"
    assert set(output.predictions[0].critics) == {"redundancy_both", "redundancy_motion"}


@pytest.mark.parametrize(
    "change, culprit",
    [
        (lambda c: c.model.update({"name": "jmpos"}), "model.name='jmpos'"),
        (lambda c: c.loss.update({"sigmaa": 1.0}), "config.loss.sigmaa.*'sigma'"),
        (lambda c: c.loss.weights.update({"relevance": 1.0}), "config.loss.weights.relevance.*'relevancy'"),
        (lambda c: c.loss.update({"normalization": "nats"}), "config.loss.normalization='nats'"),
    ],
)
def test_what_no_objective_has_is_named(change, culprit):
    config = jmpose.get_config()
    with config.unlocked():
        change(config)
    with pytest.raises(InputError, match=culprit):
        objective_of(config)


def test_a_term_without_a_weight_is_named():
    with pytest.raises(InputError, match="predictor_fit"):
        losses.JMPoseObjective(weights={"heatmap": 1.0, "relevancy": 1.0, "complement": 1.0, "redundancy": 1.0})
