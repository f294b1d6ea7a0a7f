"""TDMI: equal to the original at every stage and in the seven terms that its golden file holds, and that it learns."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.losses import TDMIObjective
from jmpose_jax.losses.tdmi import PAIRS
from jmpose_jax.models.backbones import networks
from jmpose_jax.models.tdmi import TDMI
from jmpose_jax.records import ClipBatch
from jmpose_jax.weights import from_state_dict, to_state_dict

BACKBONE = {
    "width": 4,
    "stem_features": (4, 4),
    "stem_block": "basic",
    "stem_blocks": 1,
    "stage_modules": (1,),
    "blocks_per_branch": 1,
}
IN_THE_GOLDEN = (
    "useful_noisy", "motion_useful", "useful_appearance", "useful_fused", "appearance_fused", "useful_label",
    "appearance_label",
)  # fmt: skip


def clips(frames, joints):
    count = frames.shape[0]
    keypoints = jax.random.uniform(jax.random.key(3), (count, joints, 2), minval=4, maxval=28)
    every, ones = jnp.ones((count, joints)), jnp.ones(count)
    return ClipBatch(frames, keypoints, every, jnp.zeros((count, 2, 3)), ones, jnp.arange(count), ones)


@pytest.mark.slow  # an HRNet-W48 on ten frames
def test_equals_official(official, monkeypatch):
    case = official("tdmi_dtdmnrv15_2")
    variables = from_state_dict("tdmi", case.state_dict)
    monkeypatch.setattr(networks, "normalize", lambda frames: frames)  # the golden's images are normalised
    key = case.arrays["in_kf"]
    noise = case.generator.normal(1, "input:tdmi:sup", (2, 12, 128, 96), 0.7)
    supports = np.float32(np.concatenate([key] * 4, axis=1) * 0.7 + noise)
    assert case.generator.sha_array(supports) == case.spec["inputs"]["sup"]["sha256"]
    supports = np.moveaxis(supports.reshape(2, 4, 3, 128, 96), 2, -1)
    frames = np.insert(supports, 2, case.input("kf"), axis=1)
    model = TDMI(backbone={"width": 48, "all_scales": True})
    batch = clips(jnp.asarray(frames), 17)
    apply = jax.jit(functools.partial(model.apply, capture_intermediates=True, mutable=["intermediates"]))
    output, kept = apply(variables, batch)
    kept = kept["intermediates"]
    appearance, motion = kept["appearance_encoder"], kept["motion_encoder"]

    case.check("final_heatmap", output.heatmaps)
    case.check("kf_bb_hm", output.initial_heatmaps[:, 2])
    case.check("sup_agg", appearance["aggregation"]["__call__"][0])
    case.check("combined_feat_layers", appearance["guide"]["__call__"][0])
    case.check("dcn_offset_1", appearance["sampling1"]["offset_conv"]["__call__"][0])
    case.check("dcn_mask_1", appearance["sampling1"]["mask_conv"]["__call__"][0])
    case.check("m_a_dcn_offset_s1", motion["sampling1"]["offset_conv"]["__call__"][0])
    for i in (1, 2, 3, 4):
        case.check(f"dcn_{i}", appearance[f"sampling{i}"]["__call__"][0])
        case.check(f"m_a_dcn_s{i}", motion[f"sampling{i}"]["__call__"][0])
    case.check("motion_fusion_s1", motion["fuse1"]["__call__"][0])
    case.check("motion_fusion_s4", motion["fuse4"]["__call__"][0])
    case.check("motion_smooth_s2", motion["merge2"]["__call__"][0])
    case.check("motion_features", output.motion)
    case.check("appearance_feat", output.appearance)
    case.check("use_motion_structure", kept["useful"]["__call__"][0])
    case.check("noisy_motion_structure", kept["noisy"]["__call__"][0])
    case.check("final_feature", output.fused)
    of_backbone = kept["backbone"]["__call__"][0][1]
    by_frame = np.array([[5 * b + t for b in range(2)] for t in (2, 0, 1, 3, 4)]).ravel()  # theirs: key first
    for i, name in enumerate(("transition1", "stage2", "stage3", "stage4"), start=1):
        case.check(f"hrnet_feat_s{i}", of_backbone[name][0][by_frame])

    terms = TDMIObjective()(output, batch)
    case.check("mi", np.array([terms[name][0] / terms[name][1] for name in IN_THE_GOLDEN]))
    back = to_state_dict("tdmi", variables)
    unread = {"motion_heatmap_head.weight", "motion_heatmap_head.bias"}
    assert set(back) == set(case.state_dict) - unread
    counters = [key for key in back if key.endswith("num_batches_tracked")]
    assert all(np.array_equal(back[key], case.state_dict[key]) for key in back if key not in counters)


@pytest.fixture(scope="module")
def tiny(random_variables):
    encoders = {"offset_groups": 2, "mask_activation": "sigmoid"}
    model = TDMI(
        backbone=BACKBONE,
        motion_encoder=encoders,
        appearance_encoder={**encoders, "fusion_blocks": 1},
        channels=4,
        hidden=8,
        fusion_blocks=1,
        kernel_init="fan_in",
    )
    frames = jax.random.randint(jax.random.key(0), (2, 3, 32, 32, 3), 0, 256).astype(jnp.uint8)
    batch = clips(frames, 3)
    return model, random_variables(model, batch), batch


@pytest.mark.parametrize("estimator", ["vsd_public", "vml_js"])
def test_the_objective_and_where_its_gradients_go(tiny, estimator):
    model, variables, batch = tiny
    output = jax.eval_shape(model.apply, variables, batch)
    rng = np.random.default_rng(0)
    output = jax.tree.map(lambda x: jnp.asarray(rng.standard_normal(x.shape), jnp.float32), output)
    objective = TDMIObjective(estimator=estimator, feature_temperature=1.0, temperature=1.0, beta=0.5, gamma=2.0)

    @jax.jit
    def terms(output):
        return {name: total / count for name, (total, count) in objective(output, batch).items()}

    @functools.partial(jax.jit, static_argnums=1)
    def gradients(output, name):
        return jax.grad(lambda output: terms(output)[name])(output)

    found = terms(output)
    assert set(found) == set(objective.TERMS) and all(np.isfinite(value) for value in found.values())
    weights = objective.term_weights()
    assert weights["useful_noisy"] == 2.0 and weights["motion_useful"] == -1.0
    assert weights["useful_fused"] == weights["appearance_fused"] == -2.5 and weights["useful_label"] == 2.0
    same = terms(output.replace(noisy=output.useful))
    if estimator == "vml_js":  # agreement is all the information that there can be
        np.testing.assert_allclose(same["useful_noisy"], np.log(2) / 64, rtol=1e-4)
        assert all(0 < found[name] < np.log(2) / 64 for name in PAIRS)
    gradient = gradients(output, "useful_fused")
    assert jnp.any(gradient.fused != 0)
    assert bool(jnp.any(gradient.useful != 0)) == (estimator == "vml_js")


def test_a_padded_clip_counts_for_nothing(tiny):
    model, variables, batch = tiny
    output = jax.jit(model.apply)(variables, batch)
    padded = batch.replace(valid=jnp.array([1.0, 0.0]))
    objective = TDMIObjective(estimator="vml_kl", feature_temperature=1.0)
    whole = objective(jax.tree.map(lambda x: x[:1], output), jax.tree.map(lambda x: x[:1], batch))
    other = objective(output, padded)
    for name, (total, count) in whole.items():
        np.testing.assert_allclose(other[name][0] / other[name][1], total / count, rtol=2e-4, atol=1e-7)


def test_what_does_not_fit_is_said(tiny):
    model, variables, batch = tiny
    with pytest.raises(InputError, match="delta at least 1; the batch has 1"):
        jax.eval_shape(model.apply, variables, batch.replace(frames=batch.frames[:, :1]))
    with pytest.raises(InputError, match=r"kernel \[1, 1, 4\]: set labels='head', or channels"):
        jax.eval_shape(model.clone(channels=8).init, jax.random.key(0), batch)
    with pytest.raises(InputError, match="labels='net': choose one of backbone, head"):
        jax.eval_shape(model.clone(labels="net").apply, variables, batch)
    jax.eval_shape(model.clone(channels=8, labels="head").init, jax.random.key(0), batch)
    with pytest.raises(InputError, match="loss.estimator='club': choose one of vsd_public"):
        TDMIObjective(estimator="club")
    with pytest.raises(InputError, match="loss.weights lacks useful_noisy"):
        TDMIObjective(weights={"heatmap": 1.0})
