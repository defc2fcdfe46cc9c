"""The Debug Adapter Protocol: any editor that speaks it is a front end of the debugger.

A connection of an editor is one connection to a daemon, through the debugger's own protocol (`debugger.client`): there
is no second way into the engine. Threads are sessions; frames are step, call, turn and session; the lines of a listing
(`listing`) are the kinds of steps, so that an editor that knows nothing but lines can set breakpoints.
"""
