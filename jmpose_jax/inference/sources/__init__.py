"""Where frames come from: a video file, pictures, a camera, a stream."""
