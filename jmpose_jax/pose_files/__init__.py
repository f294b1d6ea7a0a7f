"""Files of poses of any form and any number of joints, read into tracks and written again as they were."""
