"""RAFT: optical flow, alone on images or over the frame pairs of clips."""
