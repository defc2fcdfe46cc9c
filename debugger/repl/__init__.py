"""The debugger in a terminal: a client that turns typed lines into requests and answers into text.

Lines, places and texts are pure (`lines`, `place`, `render`); `shell` speaks with the daemon, `prompt`, `batch` and
`chat` are the three ways to use it. It runs in a process of its own and sees a daemon only through its socket.
"""
