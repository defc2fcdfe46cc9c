"""Composition: command line, wiring, output. The only place that imports all four packages; nobody imports it."""
