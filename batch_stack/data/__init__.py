"""Data services: buckets, file systems, tables, databases, queues and buses. Defines no job."""
