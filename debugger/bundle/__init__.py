"""A session as one file that replays offline: made of its records, without its secrets, and opened again.

`runtime.app` exports, replays and attaches; a test that was written of a stop calls `reproducing.reproduce`.
"""
