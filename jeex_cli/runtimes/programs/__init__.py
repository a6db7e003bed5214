"""The programs that serve a stack without Docker: base.py is what each has to know, known.py which there are."""
