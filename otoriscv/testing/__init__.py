"""Testing firmware: a pytest plugin (docs in `otoriscv.testing.plugin`) and what it is made of."""
