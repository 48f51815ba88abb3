"""The words of the core: entities, events, actions, transitions, errors. It has no behaviour of its own."""
