"""Instance types with their shapes, prices and EFA interfaces: tables and their reader. It knows no jobs."""
