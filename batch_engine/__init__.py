"""How AWS Batch behaves: the core, the engine on one machine, and the simulator."""
