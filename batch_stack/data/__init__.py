"""Where data is: buckets, file systems, tables, databases, queues, buses. It grants, but runs nothing."""
