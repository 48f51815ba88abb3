"""Data services: buckets, file systems, tables, databases, queues and buses. No code of jobs is here."""
