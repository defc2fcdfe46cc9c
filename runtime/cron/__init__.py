"""Scheduled jobs: when they are due, how a run changes them, and the shell that starts them. Knows no session, no wire.

What a job does is a function that comes from outside; where jobs are kept is a shelf that comes from outside.
"""
