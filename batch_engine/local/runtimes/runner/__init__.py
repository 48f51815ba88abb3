"""The process that starts, watches and ends attempts. Imports the standard library only, to stay small."""
