/* pagent's end of the rows of manual tunnels: its own handler and database, in a process. */
#ifndef AUDIT_SERVER_H
#define AUDIT_SERVER_H

#include <sys/types.h>

/* Serves dir/pagent.sock from dir/audit.db, until it is killed. */
pid_t audit_server_start(const char *dir);
void audit_server_kill(pid_t pid);
/* Manual tunnels M<first> and following come and go: two rows each. */
void audit_server_rows(const char *dir, unsigned first, unsigned n);
/* One row of any kind and payload. */
void audit_server_row(const char *dir, const char *kind, const char *payload);

#endif
