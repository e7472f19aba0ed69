"""The vocabulary of mail as the RFCs have it: pure values and parsers, standard library only."""
