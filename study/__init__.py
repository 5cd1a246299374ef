"""What is compared and shown: measurements, reports, plots."""
