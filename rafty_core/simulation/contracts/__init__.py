"""Local contracts: what one step of one node owes, seen from outside.

Law: *a rule that is broken shows in the step that breaks it*, long before a cluster loses anything.

The global invariants say what must never come to be; it may take a rare chain of accidents until a broken rule leads
there. These contracts are told by the paper, not by the code: each keeps an account of its own of what a node heard and
sent in this life. `life` puts them together; `before` is what they compare a node with.
"""
