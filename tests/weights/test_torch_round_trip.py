"""With PyTorch installed (extra "torch"): what it writes we read, what we write it reads, equal to the bit."""

import numpy as np
import pytest

from jmpose_jax.weights import from_state_dict, load_torch, published_model, save_torch, to_state_dict
from jmpose_jax.weights.models import abstract_variables

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["hrnet_w4", "raft", "raft_small"])
def test_round_trip_through_pytorch(tmp_path, name, legacy):
    rng = np.random.default_rng(0)

    def draw(tree):
        return {k: draw(v) for k, v in tree.items()} if isinstance(tree, dict) else rng.standard_normal(tree.shape)

    state_dict = to_state_dict(name, draw(abstract_variables(published_model(name))))
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in state_dict.items()}
    torch.save(tensors, tmp_path / "theirs.pth", _use_new_zipfile_serialization=not legacy)
    variables = from_state_dict(name, load_torch(tmp_path / "theirs.pth"))
    save_torch(tmp_path / "ours.pth", to_state_dict(name, variables))
    back = torch.load(tmp_path / "ours.pth", weights_only=True)
    assert set(back) == set(tensors)
    assert all(torch.equal(back[key], tensors[key]) and back[key].dtype == tensors[key].dtype for key in tensors)
