"""The operations, by what they are about: parameters in, the fields of the answer out."""
