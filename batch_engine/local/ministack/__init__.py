"""MiniStack, the emulator of the other AWS services. No other folder imports it."""
