"""Seeded synthetic workloads, arrivals, and traces written as large as wanted."""
