-- Run once, when the volume is new: Dagster's tables beside ours, in a database of their own.
CREATE DATABASE dagster;
