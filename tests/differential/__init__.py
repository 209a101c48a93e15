"""xinetd and sentinetd side by side: one table of cases, played against both."""
