/*
 * Watching policy files.  Editors replace a file by renaming another over it, so what is watched is
 * the directories, and the names in them tell; a change counts when nothing more has come for a
 * moment, so that half-written files are not read.
 */
#include "policy/pagent.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"

#define SETTLE_MS 500

struct pagent_watch {
	uv_fs_event_t handle;
	struct pagent *p;
	struct pagent_watch *next;
	bool wanted;
	char dir[];
};

/* Splits at the last slash; a name without one is in ".". */
static const char *split(const char *path, char dir[static PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (!slash)
		strcpy(dir, ".");
	else if (n == 0)
		strcpy(dir, "/");
	else if (n < PATH_MAX) {
		memcpy(dir, path, n);
		dir[n] = '\0';
	} else
		dir[0] = '\0';
	return slash ? slash + 1 : path;
}

static void on_settled(uv_timer_t *timer)
{
	struct pagent *p = timer->data;

	p->files_changed(p);
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
	const struct pagent_watch *w = handle->data;
	char dir[PATH_MAX];

	(void)events;
	(void)status;
	for (unsigned i = 0; i < w->p->n_files; i++) {
		const char *leaf = split(w->p->files[i], dir);

		if (strcmp(dir, w->dir) == 0 && (!name || strcmp(leaf, name) == 0)) {
			uv_timer_start(&w->p->settle, on_settled, SETTLE_MS, 0);
			return;
		}
	}
}

static void free_watch(uv_handle_t *handle)
{
	free(handle->data);
}

static void watch_dir(struct pagent *p, const char *dir)
{
	size_t len = strlen(dir);
	struct pagent_watch *w;
	int rc;

	for (w = p->watches; w; w = w->next)
		if (strcmp(w->dir, dir) == 0) {
			w->wanted = true;
			return;
		}
	w = calloc(1, sizeof(*w) + len + 1);
	if (!w)
		return;
	memcpy(w->dir, dir, len + 1);
	w->p = p;
	w->handle.data = w;
	rc = uv_fs_event_init(&p->loop, &w->handle);
	if (rc < 0) {
		free(w);
		return;
	}
	rc = uv_fs_event_start(&w->handle, on_event, dir, 0);
	if (rc < 0) {
		cs_log(CS_NOCTX, CSM_PA_NO_WATCH, dir, uv_strerror(rc));
		uv_close((uv_handle_t *)&w->handle, free_watch);
		return;
	}
	w->wanted = true;
	w->next = p->watches;
	p->watches = w;
}

static void drop_unwanted(struct pagent *p)
{
	struct pagent_watch **at = &p->watches;

	while (*at) {
		struct pagent_watch *w = *at;

		if (w->wanted) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		uv_close((uv_handle_t *)&w->handle, free_watch);
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

void pagent_watch_files(struct pagent *p, char *const *files, unsigned n)
{
	char **copies = calloc(n + 1u, sizeof(*copies));
	char dir[PATH_MAX];
	unsigned kept = 0;

	if (!copies)
		return;
	for (unsigned i = 0; i < n; i++)
		if ((copies[kept] = strdup(files[i])))
			kept++;
	free_files(p);
	p->files = copies;
	p->n_files = kept;
	for (struct pagent_watch *w = p->watches; w; w = w->next)
		w->wanted = false;
	for (unsigned i = 0; i < kept; i++) {
		split(copies[i], dir);
		watch_dir(p, dir);
	}
	drop_unwanted(p);
}

void pagent_watch_end(struct pagent *p)
{
	for (struct pagent_watch *w = p->watches; w; w = w->next)
		w->wanted = false;
	drop_unwanted(p);
	free_files(p);
}
