"""The channels: drivers that bring messages in from chat platforms and carry replies out.

Here will live the driver protocol with its descriptor of abilities, routing, pairing, the supervisor and one file for
each platform. A channel decides nothing about what a message may do, starts no turn by itself and keeps no second copy
of a conversation. It sees `runtime` through its ports and words, and neither `debugger` nor `defender`.
"""
