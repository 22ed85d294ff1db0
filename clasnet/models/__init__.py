"""The networks: the interface of a baseline, the three baselines, and CLASNet around any of them; their files."""
