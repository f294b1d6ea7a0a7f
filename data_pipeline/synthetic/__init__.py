"""The embedded data set: articulated people, rendered with exact ground truth, written in PoseTrack18 form.

Nothing here imports JAX, so that the renderer's processes start quickly and can be forked.
"""
