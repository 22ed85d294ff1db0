"""One thin script per pipeline stage: read params.yaml, call the library, write the outputs. Run them through DVC."""
