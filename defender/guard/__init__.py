"""Guard mode: judges what passes through a gateway that is not ours, as one of its clients.

`traffic` makes subjects of the gateway's events, `watch` judges them under bounds, says what it found and answers
approvals where it was told to. Neither opens a connection nor knows the engine: both come as arguments.
"""
