"""The distributor: a municipality's inbox in, a copy for each receiver out, one answer back (02 §7). Pure; `agents` acts."""
