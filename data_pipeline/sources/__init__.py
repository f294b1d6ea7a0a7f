"""Data sets as they are downloaded: readers of annotations, boxes and flow."""
