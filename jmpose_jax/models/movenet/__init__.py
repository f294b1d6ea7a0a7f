"""MoveNet: poses of one or several people in an image."""
