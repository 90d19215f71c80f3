/*
 * A pid file that says the truth: the process it names holds a lock on it, which the kernel takes
 * back at its end.  Who looks asks the kernel for the lock's owner and does not read the number.
 */
#ifndef CS_PID_FILE_H
#define CS_PID_FILE_H

#include <sys/types.h>

#include "common/err.h"

/*
 * Writes and locks it for this process (not for its children) until *fd is closed.  The process
 * must not open and close the file otherwise: that would end the lock.  CS_EEXIST: another process
 * has it.
 */
int cs_pid_file_take(const char *path, int *fd, struct cs_err *err);
void cs_pid_file_remove(const char *path, int fd);
/* *owner 0: nobody. */
int cs_pid_file_owner(const char *path, pid_t *owner, struct cs_err *err);
/*
 * A descriptor of the owner's process (pidfd), which stays its own when the number is used again.
 * CS_ENOTFOUND: nobody has the file.
 */
int cs_pid_file_open_owner(const char *path, pid_t *owner, int *pidfd, struct cs_err *err);

#endif
