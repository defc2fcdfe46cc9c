"""Talking to the Gemini API, or to a recording of it. Judges no answer, retries nothing: `runtime.step` decides that.

`wire`, `sse` and `faults` are pure; import what is needed from the module that has it (`client` loads the network
library at its first request, `recorded` never does).
"""
