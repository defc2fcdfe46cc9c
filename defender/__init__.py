"""The defender: judges everything that crosses a border of a session, and answers allow, review or block.

Here will live the engine, injection scoring, command analysis, taint, policy, integrity and quarantine. It performs
nothing that it judges, answers review where it cannot decide, and goes on judging while a session is held. It sees
`runtime` through its ports and words, and neither `debugger` nor `channels`.
"""
