"""Body meshes from rotations of joints: linear blend skinning as SMPL's, with a body that the user has."""
