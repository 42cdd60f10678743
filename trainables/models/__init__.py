"""The families of networks: ordinary modules, one file each, configured by data."""
