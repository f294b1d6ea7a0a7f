"""Image networks: from a crop to heatmaps."""
