"""Uploaded files into lists, all of a file or nothing.

`claims` says which worker has an import, `work` reads the file, `staging` puts its rows on the list,
`rejects` and `reasons` explain what was left out.
"""
