"""LeRobot data sets of version 3.0, in and out: JSON and parquet, pictures as PNG in parquet or as video.

Needs the `lerobot` extra (pyarrow); LeRobot itself is not needed. `schema` says what is where.
"""
