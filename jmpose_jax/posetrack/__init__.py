"""Files of PoseTrack, read once for all rooms: entries, joints by name, frames."""
