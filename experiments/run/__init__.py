"""What a training run consists of."""
