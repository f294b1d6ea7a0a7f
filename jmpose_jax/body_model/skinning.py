"""Linear blend skinning with shape and pose corrections: SMPL's mesh and joints (Loper et al., SIGGRAPH Asia 2015)."""

import flax.struct
import jax
import jax.numpy as jnp

HIGHEST = jax.lax.Precision.HIGHEST


@flax.struct.dataclass
class BodyModel:
    """A body of V vertices and J joints, in metres; `files.read_body_model` reads one.

    Attributes:
      template: float32 [V, 3], the mean shape at rest.
      shape_directions: float32 [V, 3, S], what each shape coefficient adds.
      pose_directions: float32 [V, 3, 9 (J − 1)], what each entry of (R − I) of the joints but the root adds.
      joint_regressor: float32 [J, V].
      weights: float32 [V, J], each row sums to 1.
      faces: int32 [F, 3], corners of the triangles.
      parents: J of them, each before its children; −1 of the root, joint 0.
    """

    template: jax.Array
    shape_directions: jax.Array
    pose_directions: jax.Array
    joint_regressor: jax.Array
    weights: jax.Array
    faces: jax.Array
    parents: tuple[int, ...] = flax.struct.field(pytree_node=False)

    @property
    def num_joints(self) -> int:
        """J."""
        return len(self.parents)


def pose_body(
    model: BodyModel, rotations: jax.Array, shape: jax.Array | None = None, translation: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """The mesh and the joints of a body in poses (Equations 2 to 10 of the paper).

    Args:
      model: the body.
      rotations: float32 [..., J, 3, 3], of each joint relative to its parent, the root's first.
      shape: float32 [..., S'], the first S' ≤ S coefficients; None is the mean shape. One for all poses will do.
      translation: float32 [..., 3], metres; None is none. One for all poses will do.

    Returns:
      (vertices [..., V, 3], joints [..., J, 3]), metres.

    Raises:
      ValueError: shapes that do not fit the model.
    """
    rotations = jnp.asarray(rotations, jnp.float32)
    if rotations.shape[-3:] != (model.num_joints, 3, 3):
        raise ValueError(f"rotations are {rotations.shape}, expected [..., {model.num_joints}, 3, 3]")
    batch = rotations.shape[:-3]
    coefficients = jnp.asarray([] if shape is None else shape, jnp.float32)
    most = model.shape_directions.shape[-1]
    if not coefficients.ndim or coefficients.shape[-1] > most or not _fits(coefficients.shape[:-1], batch):
        raise ValueError(
            f"shape is {coefficients.shape}, expected at most {most} coefficients, [S'] or [..., S'] for {batch} poses"
        )
    if translation is not None:
        translation = jnp.asarray(translation, jnp.float32)
        if translation.shape[-1:] != (3,) or not _fits(translation.shape[:-1], batch):
            raise ValueError(f"translation is {translation.shape}, expected [3] or [..., 3] for {batch} poses")
    directions = model.shape_directions[..., : coefficients.shape[-1]]
    rest = model.template + jnp.einsum("vds,...s->...vd", directions, coefficients, precision=HIGHEST)
    joints = jnp.einsum("jv,...vd->...jd", model.joint_regressor, rest, precision=HIGHEST)

    bend = (rotations[..., 1:, :, :] - jnp.eye(3)).reshape(*batch, -1)
    rest = rest + jnp.einsum("vdp,...p->...vd", model.pose_directions, bend, precision=HIGHEST)

    turns, places = _chain(model.parents, rotations, jnp.broadcast_to(joints, (*batch, model.num_joints, 3)))
    # A joint's transform takes what is at its place at rest to its place now.
    offsets = places - jnp.einsum("...jab,...jb->...ja", turns, joints, precision=HIGHEST)
    turn = jnp.einsum("vj,...jab->...vab", model.weights, turns, precision=HIGHEST)
    offset = jnp.einsum("vj,...ja->...va", model.weights, offsets, precision=HIGHEST)
    vertices = jnp.einsum("...vab,...vb->...va", turn, rest, precision=HIGHEST) + offset
    if translation is not None:
        move = translation[..., None, :]
        vertices, places = vertices + move, places + move
    return vertices, places


def _fits(given: tuple[int, ...], batch: tuple[int, ...]) -> bool:
    """Whether values of so many poses go with a batch of them: each has its own, or some share one."""
    behind = batch[len(batch) - len(given) :]
    return len(given) <= len(batch) and all(n in (1, of) for n, of in zip(given, behind))


def _chain(parents: tuple[int, ...], rotations: jax.Array, joints: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rotations [..., J, 3, 3] and places [..., J, 3] of all joints in the world, parent after parent."""
    turns, places = [rotations[..., 0, :, :]], [joints[..., 0, :]]
    for joint, parent in enumerate(parents[1:], start=1):
        bone = joints[..., joint, :] - joints[..., parent, :]
        places.append(places[parent] + jnp.einsum("...ab,...b->...a", turns[parent], bone, precision=HIGHEST))
        turns.append(jnp.einsum("...ab,...bc->...ac", turns[parent], rotations[..., joint, :, :], precision=HIGHEST))
    return jnp.stack(turns, axis=-3), jnp.stack(places, axis=-2)
