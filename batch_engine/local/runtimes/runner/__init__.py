"""The process that runs attempts: starts, watches and ends them, and ends them all when the engine dies.

It imports the standard library only, so that it stays small: starting a process from it is cheap, and its
death by lack of memory is unlikely.
"""
