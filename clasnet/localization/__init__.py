"""From the scores of a video to its scored segments."""
