"""Files of person boxes: the forms that are read, and which frame of the video each box is on."""
