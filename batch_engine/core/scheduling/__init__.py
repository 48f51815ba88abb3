"""The life of jobs: queues, dispatch, dependencies, retries, interruptions. It keeps no count of capacity."""
