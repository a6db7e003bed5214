"""`jeex doctor`: gather facts, judge them, repair."""
