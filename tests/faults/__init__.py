"""The fault suite: break one thing at a time under a mixed load, then hold the key space against a ledger.

- `rows` names the 24 kinds of fault, their sizes, and takes down what each run counted.
- `mix` is the standard load: which jobs there are and what must become of each, told by its id.
- `fleet` starts worker and producer processes by pid, kills and freezes them.
- `ledger` reads the acknowledgements, the effects and the key space, and checks the invariants I1 to I10.

A test is called ``test_f2_…`` after its row. Its small size runs with all tests; the size of the table is
marked ``slow`` where it takes over 5 s, and ``GQM_FAULTS=nightly`` makes it the size of a night.
``python -m benchmarks faults`` runs the rows at full size and writes the report.
"""
