"""What people and programs are shown of a run: status, checks, graph, tables, contact sheets. Only reads."""
