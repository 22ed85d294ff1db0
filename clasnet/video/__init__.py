"""From a video file to I3D features."""
