"""From a log of calls to the reasons why they missed: which call each should have continued, and what parted them."""
