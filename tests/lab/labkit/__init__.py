"""The lab's own library: hosts as network namespaces, the wire between them, and the daemons."""
