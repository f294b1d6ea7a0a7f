"""What the values of an entry are called, in tables and in JSON."""

# Names of columns, in small letters with "_" for what is no letter or digit; the first that a header has is taken.
COLUMNS = {
    "frame": ("frame", "frame_id", "frame_number", "frame_num", "frame_no", "frame_idx", "frame_index", "frameid"),
    "name": ("image_name", "file_name", "filename", "image", "image_path", "img", "img_name", "file", "path"),
    "identity": ("image_id", "img_id", "imageid"),
    "video": ("video", "video_name", "video_id", "vid", "vid_id", "sequence", "sequence_name", "seq", "seq_name"),
    "x": ("xmin", "x_min", "x1", "left", "bb_left", "bbox_left", "bbox_x", "x", "l"),
    "y": ("ymin", "y_min", "y1", "top", "bb_top", "bbox_top", "bbox_y", "y", "t"),
    "right": ("xmax", "x_max", "x2", "right", "bb_right", "bbox_right"),
    "bottom": ("ymax", "y_max", "y2", "bottom", "bb_bottom", "bbox_bottom"),
    "centre_x": ("cx", "xc", "x_center", "x_centre", "center_x", "centre_x"),
    "centre_y": ("cy", "yc", "y_center", "y_centre", "center_y", "centre_y"),
    "width": ("w", "width", "bb_width", "bbox_width", "bbox_w", "box_width"),
    "height": ("h", "height", "bb_height", "bbox_height", "bbox_h", "box_height"),
    "image_width": ("image_width", "img_width", "image_w", "img_w", "frame_width", "video_width"),
    "image_height": ("image_height", "img_height", "image_h", "img_h", "frame_height", "video_height"),
    "score": ("score", "conf", "confidence", "bbox_score", "prob", "probability"),
    "track": ("track_id", "track", "id", "person_id", "object_id", "identity", "trackid"),
    "category": ("category_id", "category", "class", "class_name", "class_id", "label"),
}
