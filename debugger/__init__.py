"""The debugger: stop, step, inspect, change, rewind and fork one session while all others are served.

Here will live the wire protocol, the controller with its holds and leases, breakpoints, expressions, time travel and
the three skins (REPL, debug adapter, web page). It refuses a pause for everybody, the evaluation of Python that a
person typed, and any way around the gate, the journal and the effects that production uses. It sees `runtime` through
its ports and words, and neither `defender` nor `channels`.
"""
