"""Changes of the tables since the first version, one file each, oldest first; never edited once released."""
