"""The pictures behind a figure: which predictions pass the filters of an address, newest days first, and what is known of one."""
