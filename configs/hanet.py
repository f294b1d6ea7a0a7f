"""HANet, DeciWatch and SmoothNet: networks that refine the poses of any estimator over time.

Variants, the data each is for:
  embedded_3d (default): 14 joints in space of motions that we make, or of motion files (CMU, DeepMimic) with
    --config.dataset.root=DIR; estimates are drawn from a measured noise model. Small networks, minutes on two cores.
  embedded_2d: 15 joints in pictures; what a backbone of ours detected on the embedded data set, or any other
    predictions in PoseTrack18 form: --config.dataset.root=PREPARED --config.dataset.estimates=FOLDER.
  posetrack: the same on PoseTrack with windows of three frames; the labelled frames alone are learnt from.
  jhmdb, h36m, pw3d, aist: the published settings on the .npz files of DeciWatch:
    --config.dataset.root=DATA --config.dataset.estimates=ESTIMATOR.
  smpl: rotations of the body model on 3DPW's files, as six numbers each.

A second word chooses another network or setting, by commas: deciwatch, smoothnet; masked (M-HANet: a keypoint is masked
in training); official (what the public code does with short sequences, last frames, training windows).

  jmpose train --config configs/hanet.py:embedded_3d --workdir runs/hanet
  jmpose train --config configs/hanet.py:embedded_3d,deciwatch --workdir runs/deciwatch
  jmpose evaluate --workdir runs/hanet
"""

from ml_collections import ConfigDict

from configs import common

NETWORKS = ("hanet", "deciwatch", "smoothnet")
SETTINGS = ("masked", "official")


def get_config(variant: str = "embedded_3d") -> ConfigDict:
    data, *words = variant.split(",")
    if data not in VARIANTS or any(word not in NETWORKS + SETTINGS for word in words):
        raise ValueError(
            f"configs/hanet.py has no variant {variant!r}; use one of {', '.join(VARIANTS)}, and behind a comma "
            f"{', '.join(NETWORKS + SETTINGS)}"
        )
    networks = [word for word in words if word in NETWORKS]
    if len(networks) > 1:
        raise ValueError(f"configs/hanet.py:{variant}: choose one network, not {' and '.join(networks)}")
    config = _base()
    VARIANTS[data](config)
    networks_of = {"hanet": _hanet, "deciwatch": _deciwatch, "smoothnet": _smoothnet}
    networks_of[networks[0] if networks else "hanet"](config, small=data.startswith("embedded"))
    if "masked" in words:
        if config.model.name != "hanet":
            raise ValueError(f"configs/hanet.py:{variant}: a masked keypoint is HANet's")
        config.model.masking = "sequence"
    if "official" in words:
        config.dataset.update({"tail": "drop", "train_windows": "frames", "padding": "zeros"})
    return config


def get_grid(variant: str = "embedded_3d") -> dict:
    """The supplement's Table 1, three seeds: nothing, then flow, velocity, acceleration, weight and bias added."""
    rows = ("none", "flow", "+ velocity", "+ acceleration", "+ weight and bias")
    features = ("flow", "velocity", "acceleration", "weight_bias")
    paper = (77.2, 76.9, 76.4, 75.7, 74.6)  # MPJPE on 3DPW, mm
    added = [
        {"name": name, "paper": paper[row], **{f"model.{f}": place < row for place, f in enumerate(features)}}
        for row, name in enumerate(rows)
    ]
    return {"features": added, "seed": (0, 1, 2)}


def _base() -> ConfigDict:
    """What all variants share: the published recipe (methods.md 4.3)."""
    config = common.sequences()
    config.optimizer.learning_rate = 1e-3
    config.optimizer.amsgrad = True
    config.optimizer.weight_decay = 0.01
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_start = 1e-6
    config.optimizer.end_rate = 1e-5
    config.train.epochs = 70.0
    config.seed = 4321
    config.model = ConfigDict({"width": 32, "interval": 5, "pre_norm": True})
    return config


def _small(config: ConfigDict) -> None:
    """Networks and runs for two CPU cores."""
    config.seed = 0
    config.model.width = 64  # more than the coordinates of a pose: what is added to it is of at most this rank
    config.model.dropout = 0.0  # noise is drawn anew for each window; without dropout the step compiles in a third
    config.train.batch_size = 16
    config.train.steps = 3000
    config.train.save_every = 500
    config.train.log_every = 50
    config.optimizer.learning_rate = 2e-3
    config.optimizer.warmup_steps = 100


def _embedded_3d(config: ConfigDict) -> None:
    # The measured backbone is a weak one: at 0.4 of its sizes, the input's error on CMU's motions (103 mm) is that of a
    # published estimator in space (SPIN on AIST++, 108 mm).
    config.dataset.noise.factor = 0.4
    config.dataset.turn = True
    config.dataset.window = 21
    _small(config)


def _embedded_2d(config: ConfigDict) -> None:
    _posetrack(config)
    config.dataset.window = 21
    config.dataset.step = 5
    config.model.interval = 2  # fast people go 25 pixels in five frames; of 1, 2 and 5 it is best on the split "val"
    _small(config)


def _posetrack(config: ConfigDict) -> None:
    """Previous, current and next frame, all of them seen."""
    config.dataset.source = "posetrack"
    config.dataset.update({"joints": 15, "dimensions": 2, "coordinates": "person", "window": 3, "step": 1})
    config.dataset.roots = ()
    config.dataset.eval_split = "val"
    config.model.update({"width": 64, "interval": 1})
    config.train.batch_size = 64


def _jhmdb(config: ConfigDict) -> None:
    config.dataset.source = "jhmdb"
    config.dataset.estimates = "simplebaseline"
    config.dataset.update({"joints": 15, "dimensions": 2, "coordinates": "image", "window": 11})
    config.dataset.roots = ()
    config.dataset.size = (320, 240)
    config.model.update({"width": 256, "pre_norm": False})
    config.train.batch_size = 16
    config.optimizer.warmup_steps = 5 * 1523  # 5 epochs of 24,372 windows


def _h36m(config: ConfigDict) -> None:
    config.dataset.source = "h36m"
    config.dataset.estimates = "fcn"
    config.dataset.update({"joints": 17, "window": 101})
    config.dataset.roots = (0,)
    config.model.width = 64
    config.train.batch_size = 96
    config.optimizer.warmup_steps = 5 * 16_247  # 5 epochs of 1,559,752 windows


def _pw3d(config: ConfigDict) -> None:
    config.dataset.source = "pw3d"
    config.dataset.estimates = "pare"
    config.model.width = 128
    config.train.batch_size = 96
    config.optimizer.warmup_steps = 5 * 236  # 5 epochs of 22,735 windows


def _aist(config: ConfigDict) -> None:
    config.dataset.source = "aist"
    config.dataset.estimates = "spin"
    config.model.width = 32
    config.train.batch_size = 256
    config.optimizer.warmup_steps = 5 * 23_111  # 5 epochs of 5,916,474 windows


def _smpl(config: ConfigDict) -> None:
    _pw3d(config)
    config.dataset.representation = "rotations"
    config.dataset.update({"joints": 24, "dimensions": 6})
    # Rotations are what they are: no middle to take off, and a unit of 1.
    config.dataset.coordinates = "plain"
    config.dataset.roots = ()


def _channels(config: ConfigDict):
    return config.dataset.get_ref("joints") * config.dataset.get_ref("dimensions")


def _hanet(config: ConfigDict, small: bool) -> None:
    layers = 2 if small else 5
    config.model.update({"name": "hanet", "encoder_layers": layers, "decoder_layers": layers})
    config.model.channels = _channels(config)
    config.model.dimensions = config.dataset.get_ref("dimensions")
    # The kinematic features of the supplement's Table 1.
    config.model.update({"flow": True, "velocity": True, "acceleration": True, "weight_bias": True, "masking": "none"})
    config.loss = ConfigDict()
    config.loss.mutual = "symmetric"  # as the public code has it; better, as the paper means it
    config.loss.hard_shares = (5.0, 1.0, 1.0)  # of the three losses, in what hard coordinates are found by
    config.loss.weights = ConfigDict({"spatial": 5.0, "temporal": 1.0, "mutual": 1.0, "hard": 1.0})


def _deciwatch(config: ConfigDict, small: bool) -> None:
    """It sees every tenth frame, as published, or every fifth where the network is small."""
    config.model.update({"name": "deciwatch", "layers": 2 if small else 5, "width": 64 if small else 128})
    config.model.channels = _channels(config)
    if not small and config.dataset.window > 10:
        config.model.interval = 10
    config.model.hidden = config.model.get_ref("width") * 2
    config.loss = ConfigDict({"weights": {"recovered": 5.0, "denoised": 1.0}})


def _smoothnet(config: ConfigDict, small: bool) -> None:
    hidden = 128 if small else 512
    config.model = ConfigDict({"name": "smoothnet", "hidden": hidden, "residual_hidden": hidden // 4})
    config.model.dropout = 0.0 if small else 0.25
    config.model.window = config.dataset.get_ref("window")
    config.loss = ConfigDict({"weights": {"position": 1.0, "acceleration": 0.1}})


VARIANTS = {
    "embedded_3d": _embedded_3d,
    "embedded_2d": _embedded_2d,
    "posetrack": _posetrack,
    "jhmdb": _jhmdb,
    "h36m": _h36m,
    "pw3d": _pw3d,
    "aist": _aist,
    "smpl": _smpl,
}
