"""Who is who from frame to frame: likeness, motion, assignment, birth and death of tracks."""
