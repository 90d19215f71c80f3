/*
 * Watching policy files.  A file changes when it is written, when another is renamed over it, and
 * when any directory or symbolic link on the way to it is (config managers swap a link).  So each
 * directory on the way is watched for the name that leads on.  A change counts when nothing more
 * has come for a moment, so that half-written files are not read.
 */
#include "policy/pagent.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define SETTLE_MS 500
#define LINKS_MAX 40 /* as the kernel has it */

struct pagent_watch {
	uv_fs_event_t handle;
	struct pagent *p;
	struct pagent_watch *next;
	char **names; /* that lead on */
	unsigned n_names;
	char dir[];
};

/* ---- one directory ---- */

static void on_settled(uv_timer_t *timer)
{
	struct pagent *p = timer->data;

	p->files_changed(p);
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
	const struct pagent_watch *w = handle->data;

	(void)events;
	(void)status;
	for (unsigned i = 0; i < w->n_names; i++)
		if (!name || strcmp(w->names[i], name) == 0) {
			uv_timer_start(&w->p->settle, on_settled, SETTLE_MS, 0);
			return;
		}
}

static void free_watch(uv_handle_t *handle)
{
	struct pagent_watch *w = handle->data;

	for (unsigned i = 0; i < w->n_names; i++)
		free(w->names[i]);
	free(w->names);
	free(w);
}

/* NULL: it cannot be watched, which is said. */
static struct pagent_watch *watch_dir(struct pagent *p, const char *dir)
{
	size_t len = strlen(dir);
	struct pagent_watch *w;
	int rc;

	for (w = p->watches; w; w = w->next)
		if (strcmp(w->dir, dir) == 0)
			return w;
	w = calloc(1, sizeof(*w) + len + 1);
	if (!w)
		return NULL;
	memcpy(w->dir, dir, len + 1);
	w->p = p;
	w->handle.data = w;
	rc = uv_fs_event_init(&p->loop, &w->handle);
	if (rc < 0) {
		free(w);
		return NULL;
	}
	rc = uv_fs_event_start(&w->handle, on_event, dir, 0);
	if (rc < 0) {
		cs_log(CS_NOCTX, CSM_PA_NO_WATCH, dir, uv_strerror(rc));
		uv_close((uv_handle_t *)&w->handle, free_watch);
		return NULL;
	}
	w->next = p->watches;
	p->watches = w;
	return w;
}

static void watch_name(struct pagent *p, const char *dir, const char *name)
{
	struct pagent_watch *w = watch_dir(p, dir);
	char **more;

	for (unsigned i = 0; w && i < w->n_names; i++)
		if (strcmp(w->names[i], name) == 0)
			return;
	more = w ? reallocarray(w->names, w->n_names + 1, sizeof(*more)) : NULL;
	if (!more)
		return;
	w->names = more;
	w->names[w->n_names] = strdup(name);
	if (w->names[w->n_names])
		w->n_names++;
}

/* ---- the way to a file ---- */

/* Takes the first name off path; false at the end. */
static bool take_name(char path[static PATH_MAX], char name[static NAME_MAX + 1])
{
	size_t skip = strspn(path, "/"), len = strcspn(path + skip, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(name, path + skip, len);
	name[len] = '\0';
	memmove(path, path + skip + len, strlen(path + skip + len) + 1);
	return true;
}

/* Puts the link's target before what is left of the path. */
static bool follow(const char *link, char path[static PATH_MAX])
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlink(link, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	strcpy(rest, path);
	return snprintf(path, PATH_MAX, "%s/%s", target, rest) < PATH_MAX;
}

/*
 * Goes to an absolute path as the kernel would, as far as it leads.  Each directory is watched
 * before it is looked into, so that nothing is missed meanwhile.
 */
static void watch_way(struct pagent *p, const char *file)
{
	char path[PATH_MAX], dir[PATH_MAX] = "", at[PATH_MAX], name[NAME_MAX + 1];
	unsigned links = 0;
	struct stat st;

	if (snprintf(path, sizeof(path), "%s", file) >= PATH_MAX)
		return;
	while (take_name(path, name)) {
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			if (*dir)
				*strrchr(dir, '/') = '\0';
			continue;
		}
		watch_name(p, *dir ? dir : "/", name);
		if (snprintf(at, sizeof(at), "%s/%s", dir, name) >= PATH_MAX || lstat(at, &st) < 0)
			return;
		if (!S_ISLNK(st.st_mode)) {
			strcpy(dir, at);
			continue;
		}
		if (++links > LINKS_MAX || !follow(at, path))
			return;
		if (path[0] == '/')
			*dir = '\0';
	}
}

/* ---- all files ---- */

static void close_watches(struct pagent_watch *w)
{
	while (w) {
		struct pagent_watch *next = w->next;

		uv_close((uv_handle_t *)&w->handle, free_watch);
		w = next;
	}
}

static void free_files(struct pagent *p)
{
	for (unsigned i = 0; i < p->n_files; i++)
		free(p->files[i]);
	free(p->files);
	p->files = NULL;
	p->n_files = 0;
}

int pagent_watch_init(struct pagent *p, void (*changed)(struct pagent *p), struct cs_err *err)
{
	int rc = uv_timer_init(&p->loop, &p->settle);

	p->files_changed = changed;
	p->settle.data = p;
	return rc ? cs_fail(err, CS_ESYS, "timer: %s", uv_strerror(rc)) : 0;
}

/* All watches are made anew: a directory of the same name may be another one by now. */
void pagent_watch_again(struct pagent *p)
{
	struct pagent_watch *before = p->watches;

	p->watches = NULL;
	for (unsigned i = 0; i < p->n_files; i++)
		watch_way(p, p->files[i]);
	close_watches(before);
}

void pagent_watch_files(struct pagent *p, char *const *files, unsigned n)
{
	char **copies = calloc(n + 1u, sizeof(*copies));
	unsigned kept = 0;

	if (!copies)
		return;
	for (unsigned i = 0; i < n; i++)
		if ((copies[kept] = strdup(files[i])))
			kept++;
	free_files(p);
	p->files = copies;
	p->n_files = kept;
	pagent_watch_again(p);
}

void pagent_watch_end(struct pagent *p)
{
	close_watches(p->watches);
	p->watches = NULL;
	free_files(p);
}
