"""What every experiment's config holds; the experiments override it."""

import dataclasses

from ml_collections import ConfigDict

from data_pipeline.sequences.noise import MEASURED


def base() -> ConfigDict:
    """Every key that a config has, with the defaults of the lineage (HRNet, DCPose, TDMI, JM-Pose)."""
    config = ConfigDict()
    config.seed = 0  # of initial values, of the order of clips and of augmentation

    # Where the model's variables come from before training: {submodule: workdir or checkpoint}; empty trains all anew.
    config.init = ConfigDict({"backbone": ""})

    config.dataset = ConfigDict()
    config.dataset.root = ""  # output folder of `jmpose prepare`
    config.dataset.train_split = "train"  # what is trained on
    config.dataset.eval_split = "val"  # what is evaluated on, by `evaluate` and while training
    config.dataset.boxes = "ground_truth"  # or a detector's box file, for evaluation
    config.dataset.skeleton = "posetrack15"  # joints: posetrack15, posetrack17, coco17, or the data set's own by name
    config.dataset.delta = 0  # supporting frames on each side of the key frame
    config.dataset.input_size = (384, 288)  # height, width
    config.dataset.box_enlarge = 1.25  # the crop's size over the box's
    config.dataset.complete_windows = False  # train only on clips whose neighbours all exist
    config.dataset.flow_source = "none"  # dis (OpenCV), exact (embedded data set); none where the model computes it
    config.dataset.flow_pairs = "consecutive"  # pairs of a flow: consecutive, key_to_support, support_to_key
    config.dataset.damaged = "error"  # a damaged record stops the run; "skip" counts it and goes on
    config.dataset.num_workers = 0  # loader processes; 0 uses threads
    config.dataset.num_threads = 2  # threads of the loader that decode and crop
    config.dataset.augment = ConfigDict()
    config.dataset.augment.rotation = 45.0  # degrees, standard deviation; clipped at this value (paper: [-45, 45])
    config.dataset.augment.rotation_probability = 0.6  # share of clips that are turned
    config.dataset.augment.scale = 0.35  # standard deviation; clipped at +-this value (paper: [0.65, 1.35])
    config.dataset.augment.half_body_probability = 0.3  # share of clips cropped to the upper or the lower body
    config.dataset.augment.flip_probability = 0.5  # share of clips that are mirrored

    config.loss = ConfigDict()
    config.loss.sigma = 3.0  # heatmap pixels
    config.loss.target = "official"  # official: centre rounded to a pixel; exact: sub-pixel centre
    # Weights of the terms. Arrays of the compiled step: sweeping them compiles nothing anew.
    config.loss.weights = ConfigDict()
    config.loss.weights.heatmap = 1.0  # of the heatmap loss L_H

    config.optimizer = ConfigDict()
    config.optimizer.name = "adamw"  # or "adam"
    config.optimizer.amsgrad = False  # divide by the largest second moment so far
    config.optimizer.learning_rate = 1e-4  # the highest, before the schedule lowers it
    config.optimizer.weight_decay = 0.01  # PyTorch's default, which the lineage leaves
    config.optimizer.schedule = "step"  # step, cosine, stable
    config.optimizer.warmup_steps = 0  # steps over which the rate rises
    config.optimizer.warmup_start = 0.0  # rate from which it rises
    config.optimizer.end_rate = 0.0  # rate to which "cosine" and "stable" fall
    config.optimizer.boundaries = (5.0, 10.0, 15.0)  # epochs after which the rate falls, for "step"
    config.optimizer.decay_factor = 0.1  # what the rate is multiplied by at each boundary, for "step"
    config.optimizer.decay_steps = 0  # last steps over which the rate falls, for "stable"
    config.optimizer.clip_norm = 0.0  # largest norm of the gradient; 0 does not clip
    config.optimizer.frozen = ()  # regular expressions over paths of parameters that are not trained

    config.train = ConfigDict()
    config.train.batch_size = 32  # clips of a step, over all devices and hosts
    config.train.epochs = 20.0  # passes over the training split
    config.train.steps = 0  # overrides epochs where positive
    config.train.log_every = 20  # steps between two lines of metrics.jsonl
    config.train.save_every = 1000  # steps between two checkpoints
    config.train.keep = 2  # how many of the latest checkpoints stay
    config.train.keep_steps = ()  # steps whose checkpoints stay for good
    config.train.mesh_model = 1  # devices along the mesh's axis "model"; the others share the batch
    # Rules over the state, (regular expression over paths, tactic), the first that is found decides: "fsdp" splits the
    # largest dimension over the devices, "model" the last one over mesh_model devices, "replicated" keeps a copy on
    # each, as () does of all. E.g. (("backbone/.*kernel", "fsdp"),).
    config.train.sharding = ()
    config.train.accumulate = 1  # parts of a batch whose gradients are averaged
    config.train.ema_decay = 0.0  # of the parameters' moving average; 0 keeps none
    config.train.compute_dtype = "float32"  # or "bfloat16", of the backbone; parameters and the rest stay float32
    config.train.remat = False  # compute each block again in the backward pass instead of keeping its results
    config.train.non_finite = "stop"  # or "skip": leave the update out, count it, write down the batch's clips
    config.train.stall_seconds = 600.0  # an input that gives no batch for so long ends the run; 0 waits for ever
    config.train.evaluate_every = 0  # steps between two evaluations, of which the best keeps its checkpoint; 0 for none
    config.train.check_hosts_every = 1000  # steps between two comparisons of the hosts' parameters; 0 for never

    config.eval = ConfigDict()
    config.eval.batch_size = 32  # clips of a batch
    config.eval.checkpoint = "latest"  # of a workdir; or "best", of those that were evaluated while training
    config.eval.ema = False  # evaluate the moving average of the parameters
    config.eval.flip_test = True  # average with the heatmaps of the mirrored clip
    config.eval.shift_heatmap = True  # flipped heatmaps move one pixel to the right before averaging
    config.eval.decode = "dark"  # how joints are read off heatmaps: argmax, quarter_offset, dark
    config.eval.blur_kernel = 11  # width in heatmap pixels of the blur before "dark"
    return config


def sequences() -> ConfigDict:
    """Every key that a config of a network of pose sequences has: `base` with another data set and evaluation."""
    config = base()
    config.init = ConfigDict()
    config.dataset = ConfigDict()
    config.dataset.source = "motions"  # motions, posetrack, jhmdb, h36m, pw3d, aist
    config.dataset.root = ""  # folder of the files; "" for motions that we make
    config.dataset.estimates = ""  # estimator's name, or folder of result files in PoseTrack18 form
    config.dataset.train_split = "train"
    config.dataset.eval_split = "test"
    config.dataset.representation = "joints"  # or rotations, of the body model
    config.dataset.overlap = "as_published"  # jhmdb's videos in both splits: as_published, or clean
    config.dataset.joints = 14  # K
    config.dataset.dimensions = 3  # coordinates of a joint
    config.dataset.window = 51  # frames that the network sees at once
    config.dataset.step = 5  # frames from a window to the next in evaluation; where they overlap, means are scored
    config.dataset.tail = "cover"  # frames behind the last whole step: cover by one more window, or drop
    config.dataset.train_windows = "starts"  # each window once, or one a frame: frames
    config.dataset.padding = "hold"  # of sequences shorter than a window: hold, or zeros that count
    config.dataset.coordinates = "root"  # that the network sees: image, root, person, plain
    config.dataset.roots = (2, 3)  # joints whose mean is the root, for "root"
    config.dataset.size = ()  # width and height of pictures whose files do not say it, for "image"
    config.dataset.turn = False  # turn poses in space about the vertical while training
    config.dataset.noise = ConfigDict(dataclasses.asdict(MEASURED))  # of estimates that are drawn: sequences/noise.py
    config.dataset.noise.factor = 1.0  # all sizes of the noise times this
    config.eval = ConfigDict()
    config.eval.batch_size = 64  # windows of a batch
    config.eval.checkpoint = "latest"  # of a workdir; or "best", of those that were evaluated while training
    config.eval.ema = False  # evaluate the moving average of the parameters
    return config


BASES = {"clips": base, "sequences": sequences}  # by the kind of data


def embedded(config: ConfigDict) -> ConfigDict:
    """What the embedded data set changes: small crops, sub-pixel targets, mild augmentation, rates for short runs."""
    config.dataset.input_size = (128, 96)
    # PoseTrack's boxes have a margin of 30 % already; in a crop this small the lineage's further 25 % costs resolution.
    config.dataset.box_enlarge = 1.0
    config.dataset.augment.rotation = 0.0
    config.dataset.augment.rotation_probability = 0.0
    config.dataset.augment.scale = 0.0
    config.dataset.augment.half_body_probability = 0.0
    config.loss.sigma = 1.5
    config.loss.target = "exact"
    # The mean over pixels makes the loss small; the factor lifts the gradient far above Adam's epsilon.
    config.loss.weights.heatmap = 100.0
    config.optimizer.learning_rate = 3e-3
    config.optimizer.weight_decay = 1e-4
    config.optimizer.schedule = "stable"
    config.optimizer.warmup_steps = 60
    config.eval.batch_size = 64
    config.eval.flip_test = False
    config.eval.blur_kernel = 5
    return config


def short_stage_two(config: ConfigDict) -> None:
    """A temporal model on a trained tiny backbone: minutes on two CPU cores."""
    config.train.batch_size = 8
    config.train.steps = 680
    config.train.save_every = 200
    config.optimizer.schedule = "cosine"
    config.optimizer.warmup_steps = 80


def tiny_hrnet() -> ConfigDict:
    """A three-branch HRNet of 0.2 M parameters that two CPU cores train in minutes."""
    return ConfigDict(
        {
            "width": 16,
            "stem_features": (16, 16),
            "stem_block": "basic",
            "stem_blocks": 1,
            "stage_modules": (1, 1),
            "blocks_per_branch": 1,
        }
    )
