"""One module per process: settings in, an exit code out. Here, and only here, the parts are put together."""
