"""Training networks in number formats: data sets, arms of a comparison, runs, tables, plot."""
