"""How AWS Batch decides: a pure state machine, driven alike by real time and by virtual time."""
